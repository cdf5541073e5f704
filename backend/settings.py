"""The only reader of the environment. Unknown `EMPTOR_*` names stop the start."""

import difflib
import os
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parent.parent
PREFIX = "EMPTOR_"


class SettingsError(Exception):
    """One line that names the variable and the remedy."""


class Settings(BaseSettings):
    """Contract §2. Everything has a default that runs on one machine without any account."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True
    )

    home: Path = Path(".emptor")
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    public_url: str | None = None
    database_url: SecretStr | None = None
    openai_base_url: str | None = None
    openai_api_key: SecretStr | None = None
    local_model: Path | None = None
    models_file: Path = ROOT / "integrations" / "models.toml"
    plans_file: Path = ROOT / "quotas" / "plans.toml"
    policies_file: Path = ROOT / "graphs" / "router" / "policies.toml"
    stripe_api_key: SecretStr | None = None
    stripe_webhook_secret: SecretStr | None = None
    stripe_base_url: str | None = None
    egress_allow: str = ""
    trusted_proxies: str = ""
    demo: bool = True
    log_format: Literal["console", "json"] = "console"

    @cached_property
    def url(self) -> str:
        """Where people reach us: in links, cookies and the platform's profile."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def embedded_model(self) -> bool:
        return self.openai_base_url is None and self.openai_api_key is None

    @property
    def endpoint(self) -> Literal["embedded", "openai"]:
        """Whose roles of the models file hold."""
        return "embedded" if self.embedded_model else "openai"

    @property
    def embedded_database(self) -> bool:
        return self.database_url is None

    @property
    def simulated_stripe(self) -> bool:
        return self.stripe_api_key is None

    @property
    def egress_hosts(self) -> frozenset[str]:
        return frozenset(h.strip() for h in self.egress_allow.split(",") if h.strip())


def load() -> Settings:
    """Settings from the environment and `.env`. Raises `SettingsError` with one clear line."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    for name in [n for n in os.environ if n.startswith(PREFIX)] + _names_in_dotenv():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise SettingsError(f"{name} is not a setting{hint} Unset it, or see README.md.")
    try:
        settings = Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = PREFIX + str(first["loc"][0]).upper()
        raise SettingsError(f"{name}: {first['msg']}. Correct it and start again.") from error
    for field in ("models_file", "plans_file", "policies_file", "local_model"):
        path = getattr(settings, field)
        if path is not None and not path.is_file():
            raise SettingsError(f"{PREFIX}{field.upper()}: there is no file at {path}.")
    return settings


# What a child needs of the machine: paths, language, certificates, the way to the registries.
_INHERITED = frozenset(
    [
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR"),
        *("LD_LIBRARY_PATH", "VIRTUAL_ENV", "SSL_CERT_FILE", "SSL_CERT_DIR"),
        *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HF_ENDPOINT"),
    ]
)
_INHERITED_PREFIXES = ("LC_", "XDG_", "PIP_", "UV_", "PYTHON")


def inherited() -> dict[str, str]:
    """The environment of our children: none of our settings, nobody's keys."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in _INHERITED
        or name.startswith(_INHERITED_PREFIXES)
        or name.lower().endswith("_proxy")
    }


def _names_in_dotenv() -> list[str]:
    dotenv = Path(".env")
    if not dotenv.is_file():
        return []
    lines = (line.split("=", 1)[0].strip() for line in dotenv.read_text().splitlines())
    names = (line.removeprefix("export ").strip() for line in lines)
    return [name for name in names if name.startswith(PREFIX)]
