"""What people type, and the one line that they read when it does not hold."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from backend.cli import app


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)  # an `.env` of whoever runs the tests is none of theirs
    monkeypatch.setenv("EMPTOR_HOME", str(tmp_path / "home"))
    return tmp_path


def typed(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("at", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"])
def test_a_key_cannot_expire_at_a_moment_that_no_calendar_has_in_utc(
    at: str, capfd: pytest.CaptureFixture[str]
):
    done = typed("keys", "create", "--role", "operator", "--expires", at)
    assert done.exit_code == 1
    said = done.output + capfd.readouterr().err
    assert "its year must lie between 1 and 9999" in said
