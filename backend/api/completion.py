"""What `POST /v1/chat/completions` takes: OpenAI's shapes, as far as a model here can serve them.

What none could serve is refused with a 4xx, before a provider refuses it after a wait.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from backend.api.strict import Lenient
from graphs.state import Effort


class Picture(Lenient):
    url: str = Field(min_length=1)
    detail: str | None = None


class Part(Lenient):
    """A piece of a message. Other kinds (sound, files) are refused: no model here reads them."""

    type: Literal["text", "image_url", "refusal"]
    text: str | None = None
    image_url: Picture | None = None
    refusal: str | None = None

    @model_validator(mode="after")
    def _whole(self) -> "Part":
        if getattr(self, self.type) is None:
            raise ValueError(f"a part of type {self.type} needs its {self.type}")
        return self

    def for_model(self) -> dict[str, Any]:
        if self.type == "refusal":  # an answer of before: words like others
            return {"type": "text", "text": self.refusal}
        return self.model_dump(exclude_none=True)


class Called(Lenient):
    name: str = Field(min_length=1, max_length=200)
    arguments: str = "{}"


class ToolCall(Lenient):
    id: str = Field(min_length=1, max_length=200)
    type: Literal["function"] = "function"
    function: Called


class ChatMessage(Lenient):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[Part] | None = None
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None

    @model_validator(mode="after")
    def _answers_a_call(self) -> "ChatMessage":
        if self.role == "tool" and not self.tool_call_id:
            raise ValueError("a tool message needs its tool_call_id")
        return self

    def for_model(self) -> dict[str, Any]:
        """As the model's client takes it: content is always there, if only empty."""
        said = self.model_dump(exclude_none=True)
        if isinstance(self.content, list):
            said["content"] = [part.for_model() for part in self.content]
        return {"content": "", **said}


class Function(Lenient):
    name: str = Field(pattern="^[A-Za-z0-9_.-]{1,64}$")
    description: str = ""
    parameters: dict[str, Any] = Field(default_factory=dict)
    strict: bool | None = None


class Tool(Lenient):
    type: Literal["function"]
    function: Function


class Choice(Lenient):
    """`tool_choice` as an object: the one tool that must be called."""

    class Name(Lenient):
        name: str

    type: Literal["function"]
    function: Name


class Schema(Lenient):
    name: str = Field(pattern="^[A-Za-z0-9_-]{1,64}$")
    schema_: dict[str, Any] = Field(alias="schema")


class Format(Lenient):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _has_its_schema(self) -> "Format":
        if self.type == "json_schema":
            Schema.model_validate(self.json_schema or {})
        return self


class StreamOptions(Lenient):
    include_usage: bool = False


class Completion(Lenient):
    """`POST /v1/chat/completions`. Fields that this server has no use for are left aside."""

    model: str = Field(min_length=1, max_length=200)
    messages: list[ChatMessage] = Field(min_length=1, max_length=2000)
    stream: bool = False
    stream_options: StreamOptions | None = None
    tools: list[Tool] | None = Field(None, max_length=128)
    tool_choice: Literal["none", "auto", "required"] | Choice | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    n: int | None = Field(None, ge=1, le=1)
    stop: str | Annotated[list[str], Field(max_length=4)] | None = None
    reasoning_effort: str | None = None
    response_format: Format | None = None

    @model_validator(mode="after")
    def _can_choose(self) -> "Completion":
        named = {tool.function.name for tool in self.tools or ()}
        if self.tool_choice == "required" and not named:
            raise ValueError("tool_choice: required needs tools to choose from")
        if isinstance(self.tool_choice, Choice) and self.tool_choice.function.name not in named:
            raise ValueError(f"tool_choice: no tool is named {self.tool_choice.function.name!r}")
        return self

    @field_validator("reasoning_effort")
    @classmethod
    def _known_effort(cls, value: str | None) -> str | None:
        if value not in (None, "none", "minimal", "low", "medium", "high", "xhigh"):
            raise ValueError("must be none, minimal, low, medium or high")
        return value

    @property
    def effort(self) -> Effort | None:
        known: dict[str, Effort] = {
            "none": "low",
            "minimal": "low",
            "low": "low",
            "medium": "medium",
            "high": "high",
            "xhigh": "high",
        }
        return known.get(self.reasoning_effort or "")

    @property
    def stops(self) -> tuple[str, ...]:
        return tuple([self.stop] if isinstance(self.stop, str) else self.stop or ())

    @property
    def choice(self) -> str | dict[str, Any] | None:
        chosen = self.tool_choice
        return chosen.model_dump() if isinstance(chosen, Choice) else chosen

    @property
    def format(self) -> dict[str, Any] | None:
        wanted = self.response_format
        return None if wanted is None else wanted.model_dump(exclude_none=True)
