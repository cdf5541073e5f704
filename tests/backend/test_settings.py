"""The environment: known names only, one clear line when something is wrong."""

import pytest

from backend.settings import Settings, SettingsError, load


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


def test_everything_has_a_default_that_runs_without_an_account():
    settings = load()
    assert settings.embedded_model
    assert settings.embedded_database
    assert settings.simulated_stripe
    assert settings.url == "http://127.0.0.1:8000"


def test_a_misspelt_name_stops_the_start_and_suggests_the_right_one(monkeypatch):
    monkeypatch.setenv("EMPTOR_PROT", "9000")
    with pytest.raises(SettingsError, match=r"EMPTOR_PROT.*EMPTOR_PORT"):
        load()


def test_a_misspelt_name_in_dotenv_is_found_too(tmp_path):
    (tmp_path / ".env").write_text("export EMPTOR_HOMEE=/x\n")
    with pytest.raises(SettingsError, match="EMPTOR_HOMEE"):
        load()


def test_dotenv_is_read(tmp_path):
    (tmp_path / ".env").write_text("EMPTOR_PORT=9123\n# a comment\nOTHER=1\n")
    assert load().port == 9123


def test_a_value_of_the_wrong_kind_names_its_variable(monkeypatch):
    monkeypatch.setenv("EMPTOR_PORT", "eighty")
    with pytest.raises(SettingsError, match="EMPTOR_PORT"):
        load()


def test_a_file_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setenv("EMPTOR_PLANS_FILE", "/nowhere/plans.toml")
    with pytest.raises(SettingsError, match=r"EMPTOR_PLANS_FILE.*nowhere"):
        load()


def test_secrets_do_not_show_in_a_dump(monkeypatch):
    monkeypatch.setenv("EMPTOR_STRIPE_API_KEY", "sk_test_secret")
    assert "sk_test_secret" not in repr(load())


def test_egress_hosts_are_a_list_without_blanks():
    settings = Settings(egress_allow=" 127.0.0.1:9001, ,127.0.0.1:9002")
    assert settings.egress_hosts == {"127.0.0.1:9001", "127.0.0.1:9002"}
