"""Operating the local stack: `up`, `status`, `token`, `rebuild`."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from cli.client import Document, Gateway
from cli.errors import FAILED, MISUSED, CommandError
from cli.place import ClientSettings, Place, runtime
from cli.session import Session, run
from cli.summary import first_line
from deploy.local.errors import StackError
from deploy.local.passwords import kept_password
from deploy.local.runtime import Runtime
from deploy.local.settings import StackSettings
from deploy.local.tokens import DAY, DEVELOPER_SCOPES, ROLES, SCOPES, mint
from events.agent import checked_tenant
from events.errors import InvalidIdError
from events.ids import checked_name

_PROJECT = Path(__file__).resolve().parents[1]
_CENTURY = 36_525 * DAY
_COLUMNS = ("role", "pid", "state", "restarts", "lag", "last error")


def up(
    nats_nodes: Annotated[int | None, typer.Option(min=1, max=5, help="3 or 5: a cluster, each event on all.")] = None,
) -> None:
    """Start everything on this machine and keep it running until Ctrl-C."""
    # Imported here: only this command needs the servers' libraries, a tenth of a second for all others.
    from deploy.local.supervisor import up as run_stack  # noqa: PLC0415 - as above

    settings = _stack_settings()
    if nats_nodes is not None:
        if nats_nodes % 2 == 0:
            raise typer.BadParameter("a cluster has 3 or 5 nodes; 1 is none", param_hint="--nats-nodes")
        settings = settings.model_copy(update={"nats_nodes": nats_nodes})
    raise typer.Exit(run_stack(settings))


def token(
    context: typer.Context,
    owner: Annotated[str, typer.Option(help="Whose token: tasks belong to their owner.")],
    tenant: Annotated[str, typer.Option(help="The owner's tenant.")] = "dev",
    scope: Annotated[
        list[str] | None,
        typer.Option(help=f"What it may do, repeatable: {', '.join(SCOPES)} (default; includes the others)."),
    ] = None,
    *,
    role: Annotated[str | None, typer.Option(help=f"What it may do, by one word: {', '.join(ROLES)}.")] = None,
    ttl: Annotated[float, typer.Option(min=1, max=_CENTURY, help="Seconds until it expires.")] = DAY,
) -> None:
    """Mint a token that the local gateway accepts."""
    session = Session.of(context)
    try:
        checked_name(owner, "owner")
        checked_tenant(tenant)
    except InvalidIdError as error:
        raise typer.BadParameter(error.detail, param_hint=f"--{error.detail.partition(' ')[0]}") from None
    unknown = [name for given in scope or () for name in given.split() or [given] if name not in SCOPES]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]!r} is not one of {', '.join(SCOPES)}", param_hint="--scope")
    if role is not None and role not in ROLES:
        raise typer.BadParameter(f"{role!r} is not one of {', '.join(ROLES)}", param_hint="--role")
    scopes = scope or (() if role else DEVELOPER_SCOPES)
    secret = _secret(session.settings.home)
    minted = mint(secret, owner=owner, tenant=tenant, scopes=scopes, role=role, ttl=ttl)
    if session.output.is_json:
        session.output.document({"token": minted, "owner": owner, "tenant": tenant, "expires_in": ttl})
    else:
        session.output.console.out(minted, highlight=False)


def status(context: typer.Context) -> None:
    """Show what runs; exit code 1 when something does not, or the gateway is not ready."""
    session = Session.of(context)
    run(_status(session))


def rebuild(
    context: typer.Context,
    *,
    check: Annotated[bool, typer.Option("--check", help="Compare only, change nothing.")] = False,
) -> None:
    """Fold the kept log anew into fresh tables, compare them with the present ones, and swap them in.

    Prints as JSON what differed; exit code 1 if anything did. Work is taken meanwhile, and done afterwards.
    """
    run_beside_keeper(context, "consumers.keeper.rebuild", ["--check"] if check else [], servers=("DATABASE_URL",))


def run_beside_keeper(
    context: typer.Context, module: str, arguments: Sequence[str], *, servers: Sequence[str]
) -> NoReturn:
    """Run one of the keeper's programs to its end, with its exit code. `servers` are what it has to find: as the
    environment says, else those of the local stack.
    """
    given = {name: os.environ[name] for name in servers if os.environ.get(name)}
    if len(given) < len(servers):
        local = runtime(Session.of(context).settings)
        given = {"DATABASE_URL": local.database_url, "NATS_URL": local.nats_url} | given
    done = subprocess.run(  # noqa: S603 - an operator's own words, and no shell
        [sys.executable, "-m", module, *arguments],
        cwd=_PROJECT,
        env=os.environ | {name: given[name] for name in servers},
        stdout=subprocess.PIPE,  # it speaks once, at its end: passed on here, where a reader that has left is no news
        check=False,
    )
    typer.echo(done.stdout, nl=False)
    raise typer.Exit(done.returncode)


async def _status(session: Session) -> int:
    local = runtime(session.settings)
    readiness = await _readiness(session.settings, local)
    rows = roles(local, readiness)
    is_well = all(row["state"] == "running" for row in rows) and readiness.get("status") in {"ready", "degraded"}
    if session.output.is_json:
        session.output.document({"gateway_url": local.gateway_url, "roles": list(rows), "readiness": readiness})
    else:
        session.output.line(f"{local.gateway_url}  {readiness.get('status', 'unknown')}")
        session.output.table(_COLUMNS, [_cells(row) for row in rows])
    return 0 if is_well else FAILED


def _cells(row: Document) -> list[str]:
    values = (row[column.replace(" ", "_")] for column in _COLUMNS)
    return ["" if value is None else str(value) for value in values]


async def _readiness(settings: ClientSettings, local: Runtime) -> Document:
    """What the gateway says; why it says nothing, if it does not."""
    given = settings.token.get_secret_value() if settings.token else local.token
    try:
        async with Gateway(Place(local.gateway_url, given)) as gateway:
            return await gateway.readiness()
    except CommandError as error:
        return {"status": f"not reachable: {error}"}


def roles(local: Runtime, readiness: Document) -> list[Document]:
    """One row for the supervisor and each of its children."""
    lag = _lag(readiness)
    pids = {"supervisor": local.supervisor, **local.pids}
    return [
        {
            "role": role,
            "pid": pid,
            "state": _state(pid),
            "restarts": local.restarts.get(role, 0),
            "lag": f"{lag:.3f} s" if role == "consumers" and lag is not None else None,
            "last_error": first_line(local.last_error.get(role, "")) or None,
        }
        for role, pid in pids.items()
    ]


def _lag(readiness: Document) -> float | None:
    """Seconds that the keeper is behind, if the gateway knows."""
    checks = readiness.get("checks")
    keeper = checks.get("keeper") if isinstance(checks, dict) else None
    lag = keeper.get("lag_seconds") if isinstance(keeper, dict) else None
    return float(lag) if isinstance(lag, int | float) else None


def _state(pid: int | None) -> str:
    """Whether a process runs; one that has ended and waits for its parent does not."""
    if pid is None:
        return "restarting"
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return "gone"
    return {"Z": "gone", "T": "paused"}.get(fields[0], "running")


def _stack_settings() -> StackSettings:
    try:
        return StackSettings.from_environment()
    except StackError as error:
        raise CommandError(str(error), exit_code=MISUSED) from None


def _secret(home: Path) -> str:
    given = _stack_settings().jwt_secret
    if given is not None:
        return given.get_secret_value()
    if not (home / "secrets").is_dir():
        raise CommandError(f"no stack has run in {home}: start one with `ganglion up`, or set GANGLION_JWT_SECRET")
    return kept_password(home / "secrets", "jwt")
