"""What the operator configured must answer before anything starts: database and model."""

import httpx
import psycopg
from pydantic import SecretStr

from backend.database import libpq_url
from backend.parts import StartFailed
from backend.settings import Settings

CHECK_S = 5.0
OPENAI = "https://api.openai.com/v1"


def model_url(settings: Settings) -> str:
    """Where the configured model is."""
    return settings.openai_base_url or OPENAI


async def check_model(settings: Settings) -> None:
    """Raises `StartFailed` when nothing answers or the key is refused."""
    url, key = model_url(settings), settings.openai_api_key
    headers = {"authorization": f"Bearer {key.get_secret_value()}"} if key else {}
    try:
        async with httpx.AsyncClient(timeout=CHECK_S) as client:
            answer = await client.get(f"{url.rstrip('/')}/models", headers=headers)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise StartFailed(
            f"The model at {url} cannot be reached ({type(error).__name__}). "
            "Correct EMPTOR_OPENAI_BASE_URL, or unset it to use the embedded model."
        ) from error
    if answer.status_code in (401, 403):
        raise StartFailed(f"{url} refuses the key. Correct EMPTOR_OPENAI_API_KEY.")


async def check_database(url: SecretStr) -> str:
    """The same address for libpq, once a connection has been made. Raises `StartFailed`."""
    try:
        address = libpq_url(url.get_secret_value())
        connection = await psycopg.AsyncConnection.connect(address, connect_timeout=int(CHECK_S))
        await connection.close()
    except (ValueError, psycopg.Error) as error:
        said = (str(error).splitlines() or ["no answer"])[0]
        raise StartFailed(
            f"EMPTOR_DATABASE_URL: {said}. Start that server or correct the address, "
            "or unset it to use the embedded database."
        ) from error
    return address
