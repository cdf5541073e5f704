"""`emptor router …`: train, compare, promote and take back versions, on this home's database."""

import json
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from backend.console import fail, load, with_session
from backend.settings import Settings

router = typer.Typer(no_args_is_help=True, help="The router's versions.")
Data = Annotated[Path, typer.Option(help="Labelled turns, JSON lines.")]


@router.command("status")
def router_status(
    as_json: Annotated[bool, typer.Option("--json", help="As the operator API says it.")] = False,
) -> None:
    """Which version decides. Exit 1 while rules alone do."""
    from backend import versions
    from backend.api.routing import status

    async def read(session: Any) -> dict[str, Any]:
        return await status(session, await versions.current(session))

    found = _answered(lambda: with_session(read))
    if as_json:
        typer.echo(json.dumps(found, indent=2, default=str))
    else:
        typer.echo(_sentence(found))
    raise typer.Exit(1 if found["rules_only"] else 0)


def _sentence(found: dict[str, Any]) -> str:
    since = found["since"].isoformat(timespec="seconds")
    if found["rules_only"]:
        return f"Rules alone decide since {since}: {found['reason']}"
    said = f"Version {found['serving']} decides since {since}"
    if found["candidate"]:
        part = "as a shadow" if found["stage"] == "shadow" else f"for {found['stage']} % of people"
        return f"{said}; {found['candidate']} is rolled out {part}, {found['base']} before it"
    return f"{said} ({found['changed_by']}: {found['reason']})"


@router.command("promote")
def promote(
    version: Annotated[str, typer.Argument(help="Its id, or rules-only: the kill switch.")],
    stage: Annotated[str, typer.Option(help="shadow, 1, 5, 25 or 100 percent of people.")] = "100",
) -> None:
    """Serve a version. Refused when its offline comparison failed or was never made."""
    from backend import versions

    if stage not in get_args(versions.Stage):
        fail(f"--stage {stage}: choose shadow, 1, 5, 25 or 100.")

    async def change(session: Any) -> Any:
        return await versions.roll_out(session, version, stage)  # type: ignore[arg-type]

    held = _answered(lambda: with_session(change))
    typer.echo(f"{held.candidate} at stage {held.stage}; {held.base} before it.")


@router.command("rollback")
def rollback(
    reason: Annotated[str, typer.Option(help="Kept with the change.")] = "",
) -> None:
    """Back to the version before, for everyone."""
    from backend import versions

    async def change(session: Any) -> Any:
        return await versions.roll_back(session, reason=reason)

    typer.echo(f"Version {_answered(lambda: with_session(change)).base} decides for everyone.")


@router.command("train")
def train_router(
    data: Data,
    out: Annotated[Path | None, typer.Option(help="Folder for the weights.")] = None,
    feedback: Annotated[
        bool | None, typer.Option(help="Learn from people's feedback too (default: if any).")
    ] = None,
) -> None:
    """Learn the weights again. With a database, feedback is learnt too and a version is made."""
    from backend import lessons, versions

    settings = load()
    taught = (
        with_session(lessons.taught)
        if (_has_database(settings) if feedback is None else feedback)
        else None
    )
    if taught is None and out is None:
        fail("--out FOLDER is needed: there is no database to keep a version in.")
    folder = out or settings.home / "router" / "trained"
    _train(data, folder, taught)
    if taught is None:
        return
    weights, policies = (folder / "router.npz").read_bytes(), settings.policies_file.read_text()

    async def keep(session: Any) -> str:
        return await versions.register(
            session,
            weights=weights,
            policies=policies,
            source="trained",
            learnt=len(taught.examples),
            learnt_until=taught.until,
        )

    made = with_session(keep)
    typer.echo(f"Version {made}, with {len(taught.examples)} examples from feedback.")


def _train(data: Path, folder: Path, taught: Any) -> None:
    from graphs.router.train import DataError, train

    try:
        train(data, folder, learnt=taught.examples if taught else ())
    except (DataError, OSError) as bad:
        fail(str(bad))


def _has_database(settings: Settings) -> bool:
    return settings.database_url is not None or (settings.home / "postgres" / "data").is_dir()


@router.command("evaluate")
def evaluate_router(
    data: Data,
    version: Annotated[
        str | None, typer.Option(help="Compare this version with the serving one; keep the result.")
    ] = None,
) -> None:
    """Measure with whole source families left out; with --version, decide its offline gate."""
    from backend import comparing
    from graphs.router.evaluate import main as evaluate
    from graphs.router.train import DataError

    if version is None:
        raise typer.Exit(evaluate(["--data", str(data)]))
    settings = load()
    material = _answered(lambda: with_session(lambda s: comparing.gather(s, version)))
    try:
        found = comparing.compare(material, comparing.Ground(data), settings.home / "router")
    except (DataError, OSError) as bad:
        fail(str(bad))
    with_session(lambda s: comparing.keep(s, version, found))
    typer.echo("\n".join(comparing.lines(found)))
    if not found["passed"]:
        fail(f"Version {version} does not pass: {'; '.join(found['failed'])}")


def _answered(ask: Any) -> Any:
    """The answer, or its typed error as one clear line."""
    from backend.errors import AppError

    try:
        return ask()
    except AppError as error:
        fail(error.detail)
