"""Which local models there are, which weights answer for which alias, and how far the start is.

Weights are got in the background. Until then, and when there are none, the shim answers at once
and says why; the mini model is loaded when it is first asked for and leaves again when idle.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import httpx

from integrations.embedded.llama import SLOT_CONTEXT, Llama, NotReady
from integrations.embedded.weights import (
    MAIN,
    MINI,
    OFFICIAL,
    NoWeights,
    Progress,
    Source,
    Store,
    Weights,
    WeightsError,
    obtain,
)

RETRY_FIRST_S = 60.0
RETRY_MAX_S = 900.0
IDLE_S = 900.0
LOADING_PATIENCE_S = 45.0
Status = Literal["loading", "ready", "no_weights"]


class Unavailable(Exception):
    """No model can answer now. `code` is `model_loading` or `no_weights`; the text says why."""

    def __init__(self, detail: str, *, code: str, retry_after_s: int) -> None:
        super().__init__(detail)
        self.code = code
        self.retry_after_s = retry_after_s


class Roster:
    """The local models by alias. `run` gets and starts them; `serving` lends one."""

    def __init__(
        self,
        *,
        store: Store,
        sources: Sequence[tuple[str, Source]],
        client: httpx.AsyncClient,
        logs: Path,
        local: Path | None = None,
    ) -> None:
        self._store = store
        self._sources = sources
        self._client = client
        self._logs = logs
        self._local = local
        self._llamas: dict[str, Llama] = {}
        self._reasons: dict[str, str] = {}
        self.progress = Progress(MAIN.alias, "cache")
        self._gave_up = False
        self._warmed = False

    @property
    def status(self) -> Status:
        answering = self.answers(MAIN.alias)
        if answering is None:
            return "no_weights" if self._gave_up else "loading"
        ready = self._warmed and self._llamas[answering].state == "ready"
        return "ready" if ready else "loading"

    async def run(self) -> None:
        """Gets the weights, main first, starts the main model, and watches until cancelled."""
        pause_s = RETRY_FIRST_S
        try:
            while True:
                wanted = [w for w in await self._wanted() if w.alias not in self._llamas]
                for weights in wanted:
                    await self._add(weights)
                self._gave_up = True
                await self._rest(pause_s)
                pause_s = min(2 * pause_s, RETRY_MAX_S)
        finally:
            await asyncio.gather(*(llama.sleep() for llama in self._llamas.values()))

    async def _wanted(self) -> list[Weights]:
        """Both models, or only the one that the operator named."""
        if self._local is None:
            return list(OFFICIAL)
        try:
            return [await self._store.identify(self._local)]
        except (WeightsError, OSError) as error:
            self._reasons[MAIN.alias] = str(error)
            return []

    async def _add(self, weights: Weights) -> None:
        try:
            path = self._local or await obtain(
                weights, store=self._store, sources=self._sources, report=self._report
            )
        except NoWeights as error:
            self._reasons[weights.alias] = str(error)
            return
        log = self._logs / f"{weights.alias}.log"
        llama = Llama(alias=weights.alias, model=path, client=self._client, log=log)
        self._reasons.pop(weights.alias, None)
        self._llamas[weights.alias] = llama
        await self._warm(llama)
        self._report(Progress(weights.alias, "ready", 1.0))

    async def _warm(self, llama: Llama) -> None:
        """Starts the model and lets it say one word, so that the first person does not wait.

        The mini comes second, behind the readiness of the main one.
        """
        self._report(Progress(llama.alias, "start"))
        try:
            async with llama.awake(patience_s=LOADING_PATIENCE_S) as url:
                self._report(Progress(llama.alias, "warm"))
                word = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
                await self._client.post(f"{url}/v1/chat/completions", json=word, timeout=60)
        except (NotReady, httpx.HTTPError) as error:
            self._reasons[llama.alias] = f"the model server does not start: {error}"
        self._warmed = True

    async def _rest(self, seconds: float) -> None:
        """Waits, putting a mini model to sleep that nobody has used for a while."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while loop.time() < until:
            await asyncio.sleep(min(30.0, until - loop.time()))
            mini = self._llamas.get(MINI.alias)
            if mini is None or len(self._llamas) == 1 or mini.state != "ready":
                continue
            if not mini.in_use and loop.time() - mini.last_used > IDLE_S:
                await mini.sleep()

    def _report(self, progress: Progress) -> None:
        self.progress = progress

    def answers(self, alias: str) -> str | None:
        """The alias of the model that answers for `alias`: another one when its own is missing."""
        if alias in self._llamas:
            return alias
        return next(iter(self._llamas), None)

    @asynccontextmanager
    async def serving(self, alias: str) -> AsyncIterator[tuple[str, str]]:
        """The answering model's alias and its server's address. Raises `Unavailable`."""
        answering = self.answers(alias)
        if answering is None:
            raise self._unavailable()
        try:
            async with self._llamas[answering].awake(patience_s=LOADING_PATIENCE_S) as url:
                yield answering, url
        except NotReady as error:
            raise Unavailable(str(error), code="model_loading", retry_after_s=5) from error

    def _unavailable(self) -> Unavailable:
        if self.status == "no_weights":
            reason = "; ".join(self._reasons.values())
            return Unavailable(
                f"The embedded model has no weights, so nothing can be answered yet: {reason}. "
                "Set EMPTOR_LOCAL_MODEL to a weights file, or EMPTOR_OPENAI_BASE_URL to a model.",
                code="no_weights",
                retry_after_s=60,
            )
        share = self.progress.fraction
        done = "" if share is None else f" ({share:.0%})"
        detail = f"The embedded model is being prepared: {self.progress.phase}{done}."
        return Unavailable(detail, code="model_loading", retry_after_s=5)

    def health(self) -> dict[str, Any]:
        """What `GET /health` says."""
        return {
            "status": self.status,
            "phase": self.progress.phase,
            "alias": self.progress.alias,
            "progress": self.progress.fraction,
            "reason": "; ".join(self._reasons.values()) or None,
            "models": [self._entry(weights) for weights in OFFICIAL],
        }

    def _entry(self, weights: Weights) -> dict[str, Any]:
        llama = self._llamas.get(weights.alias)
        return {
            "id": weights.alias,
            "weights": weights.title,
            "state": llama.state if llama else "missing",
            "answered_by": self.answers(weights.alias),
            "context_window": SLOT_CONTEXT,
            "server": llama.url if llama else None,
            "crashes": llama.crashes if llama else 0,
        }
