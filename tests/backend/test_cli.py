"""What people type, and the one line that they read when it does not hold."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from backend.cli import app

EXAMPLE = Path(__file__).parents[2] / "integrations" / "models.example.toml"


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


def test_the_last_day_of_a_report_is_said_to_be_included():
    assert "included" in typed("report", "--help").output


@pytest.mark.usefixtures("home")
def test_a_restored_model_is_listed_as_such(database_url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EMPTOR_DATABASE_URL", database_url)
    monkeypatch.setenv("EMPTOR_MODELS_FILE", str(EXAMPLE))
    (before,) = (line for line in typed("models", "list").output.splitlines() if "retires" in line)
    model, ends = before.split("\t")
    assert ends == "retires 2027-01-31"
    assert typed("models", "restore", model).exit_code == 0
    assert f"{model}\trestored (retires 2027-01-31 in the file)" in typed("models", "list").output


@pytest.mark.usefixtures("home")
def test_models_are_listed_from_the_file_where_no_database_answers(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("EMPTOR_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    monkeypatch.setenv("EMPTOR_MODELS_FILE", str(EXAMPLE))
    done = typed("models", "list")
    assert done.exit_code == 0
    said = done.output + capfd.readouterr().err
    assert "retires 2027-01-31" in said
    assert "Without the models that were restored" in said
