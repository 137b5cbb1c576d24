"""The console script: thin verbs over the assembly and the demo."""

import argparse
import getpass
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import date
from functools import partial
from pathlib import Path

import httpx
import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr, ValidationError

from services import assembly, plan_file
from services.demo import city
from services.demo.house import Addresses, DemoFailedError, House, read_logins
from services.kit import telemetry
from services.kit.errors import DomainError
from services.kit.events import inbox
from services.kit.events.consumer import replay_dead_letters
from services.kit.http.access import AccountExists, AccountsFile, AccountUnknown, BadAccountsFile
from services.kit.service import BadHouse, Service
from services.kit.settings import HouseSettings, NoSecretKey

DEMO_FOLDER = Path("var")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exits with 2 when what was asked cannot be done as asked, 1 when it failed."""
    asked = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = asked.run
    try:
        sys.exit(run(asked))
    except (
        NoSecretKey,
        BadHouse,
        AccountExists,
        AccountUnknown,
        BadAccountsFile,
        DomainError,
        FileNotFoundError,
    ) as error:
        print(f"tournee: {_said(error)}", file=sys.stderr)
        sys.exit(2)
    except ValidationError as error:
        for fault in error.errors():
            print(
                f"tournee: setting {'.'.join(map(str, fault['loc'])) or error.title}: {fault['msg']}", file=sys.stderr
            )
        sys.exit(2)
    except DemoFailedError as error:
        print(f"tournee: the demo cannot go on: {error}", file=sys.stderr)
        sys.exit(1)


def _said(error: Exception) -> str:
    if isinstance(error, AccountExists):
        return f"there is an account {error} already; remove it first"
    if isinstance(error, AccountUnknown):
        return f"there is no account {error}"
    return error.detail if isinstance(error, DomainError) else str(error)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tournee", description="Dispatch for municipal bike-courier orders.")
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")

    serve = verbs.add_parser("serve", help="run services in this process, all of them by default")
    _services(serve)
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=8000)
    serve.add_argument(
        "--demo", action="store_true", help="a demo city with accounts of its own, and a day played in it"
    )
    serve.set_defaults(run=_serve)

    migrate = verbs.add_parser("migrate", help="bring the databases of services up to date")
    _services(migrate)
    migrate.set_defaults(run=_migrate)

    dead = verbs.add_parser("dead-letters", help="events set aside: list them, try them again")
    dead_verbs = dead.add_subparsers(required=True, metavar="VERB")
    listing = dead_verbs.add_parser("list", help="list them with the reason")
    _services(listing)
    listing.set_defaults(run=_list_dead_letters)
    replay = dead_verbs.add_parser("replay", help="give them to their handlers again, in order")
    replay.add_argument("service", choices=assembly.NAMES)
    replay.add_argument("ids", nargs="*", type=int, metavar="ID", help="these only; by default all")
    replay.set_defaults(run=_replay_dead_letters)

    openapi = verbs.add_parser("openapi", help="write the description of the HTTP interfaces")
    _services(openapi)
    openapi.add_argument("--out", type=Path, metavar="FILE", help="instead of standard output")
    openapi.set_defaults(run=_openapi)

    account = verbs.add_parser("account", help="people and machine clients")
    account_verbs = account.add_subparsers(required=True, metavar="VERB")
    add = account_verbs.add_parser("add", help="add one and print its secret, once")
    add.add_argument("--login", required=True)
    add.add_argument("--name", default="", help="shown on pages; by default the login")
    add.add_argument("--role", action="append", default=[], choices=assembly.ROLES, help="may be given again")
    add.add_argument(
        "--claim", action="append", default=[], type=_claim, metavar="NAME=VALUE", help="may be given again"
    )
    add.add_argument("--machine", action="store_true", help="a program that asks for tokens, not a person")
    add.add_argument("--scope", action="append", default=[], help="for machines; may be given again")
    add.set_defaults(run=_add_account)
    account_verbs.add_parser("list", help="list them").set_defaults(run=_list_accounts)
    remove = account_verbs.add_parser("remove", help="take one away; refused from its next request on")
    remove.add_argument("--login", required=True)
    remove.set_defaults(run=_remove_account)

    close = verbs.add_parser("close-month", help="close a contract's month and list its statements")
    close.add_argument("contract", metavar="CONTRACT", help="its reference or its id")
    close.add_argument("month", type=_month, metavar="YYYY-MM")
    close.set_defaults(run=_close_month)

    export = verbs.add_parser("export", help="write everything that is kept of a statement to a folder")
    export.add_argument("statement", metavar="STATEMENT", help="its id")
    export.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="made when it is not there")
    export.set_defaults(run=_export)

    plan_file.add_arguments(verbs.add_parser("plan", help="plan a file: a public benchmark instance, or our own JSON"))

    city_verbs = verbs.add_parser("city", help="the map").add_subparsers(required=True, metavar="VERB")
    streets = city_verbs.add_parser("import", help="show a city's own streets, from an OpenStreetMap extract")
    streets.add_argument("file", type=Path, metavar="FILE.osm.pbf")
    streets.set_defaults(run=_import_city)

    demo = verbs.add_parser("demo", help="play a month on a simulated clock and print its account")
    demo.add_argument("--month", type=_month, default=date(2026, 11, 1), metavar="YYYY-MM")
    demo.add_argument("--scale", type=int, default=1, help="keep every n-th recurring request only")
    demo.add_argument("--solve-seconds", type=float, default=1.0, help="what the planner gets for a day")
    for name in assembly.NAMES:
        demo.add_argument(f"--{name}", metavar="URL", help=f"where {name} runs already, in a demo house")
    demo.add_argument("--logins", type=Path, metavar="FILE", help="the log-ins of that house")
    demo.set_defaults(run=_demo)
    return parser


def _services(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("services", nargs="*", metavar="SERVICE", help=f"{', '.join(assembly.NAMES)}; by default all")


def _names(asked: argparse.Namespace) -> list[str]:
    unknown = [name for name in asked.services if name not in assembly.NAMES]
    if unknown:
        raise BadHouse(f"there is no service {', '.join(unknown)}; there are {', '.join(assembly.NAMES)}")
    return [name for name in assembly.NAMES if name in (asked.services or assembly.NAMES)]


def _claim(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _month(text: str) -> date:
    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a month like 2026-11") from error


# -- running ---------------------------------------------------------------------------------------------------------


def _serve(asked: argparse.Namespace) -> int:
    telemetry.configure_logging(os.environ.get("TOURNEE_LOG_LEVEL", "WARNING" if asked.demo else "INFO"))
    names = _names(asked)
    settings = HouseSettings()
    if asked.demo:
        settings, logins = demo_house(settings)
        _tell_demo(asked, settings, logins)
    server = _server(assembly.house(names, settings), asked.host, asked.port)
    if asked.demo:
        threading.Thread(target=_play_today, args=(server, _origin(asked), logins), daemon=True).start()
    server.run()
    return 0 if server.started else 1


def _server(app: FastAPI, host: str, port: int) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=10,
        )
    )


def _origin(asked: argparse.Namespace) -> str:
    host = "127.0.0.1" if asked.host in ("0.0.0.0", "::") else asked.host  # noqa: S104 - asked, not chosen
    return f"http://{host}:{asked.port}"


def _migrate(asked: argparse.Namespace) -> int:
    for name in _names(asked):
        database = assembly.build(name).database
        database.upgrade()
        print(f"{name}: {database.url.render_as_string(hide_password=True)} is up to date")
        database.dispose()
    return 0


# -- the demo ----------------------------------------------------------------------------------------------------------


def demo_house(settings: HouseSettings, folder: Path = DEMO_FOLDER) -> tuple[HouseSettings, dict[str, str]]:
    """Return settings and log-ins of a demo house, made up at random the first time and kept in `folder`."""
    key = settings.secret_key.get_secret_value() or _kept(folder / "secret-key", lambda: secrets.token_urlsafe(48))
    settings = settings.model_copy(update={"demo": True, "secret_key": SecretStr(key)})
    accounts = AccountsFile(settings.accounts)
    there = {account.login for account in accounts.all()}
    file = folder / "demo-logins.json"
    logins = read_logins(file) if file.exists() else {}
    for person in city.PEOPLE:
        if person.login in there and person.login in logins:
            continue
        if person.login in there:
            accounts.remove(person.login)
        logins[person.login] = accounts.add(
            person.login, name=person.name, roles=[person.role], claims=dict(person.claims)
        )
    _write_private(file, json.dumps(logins, indent=2) + "\n")
    return settings, logins


def _kept(file: Path, make: Callable[[], str]) -> str:
    if not file.exists():
        _write_private(file, make())
    return file.read_text(encoding="utf-8").strip()


def _write_private(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as open_file:
        open_file.write(text)


def _tell_demo(asked: argparse.Namespace, settings: HouseSettings, logins: Mapping[str, str]) -> None:
    print(f"Tournée, ville de démonstration : {_origin(asked)}\n")
    print(f"{'identifiant':<16}{'mot de passe':<28}{'rôle':<16}page")
    for person in city.PEOPLE:
        page = _origin(asked) + city.PAGE_OF_ROLE[person.role]
        print(f"{person.login:<16}{logins[person.login]:<28}{person.role:<16}{page}")
    print(f"\nComptes : {settings.accounts}. Arrêter : Ctrl+C.\n", flush=True)


def _play_today(server: uvicorn.Server, origin: str, logins: Mapping[str, str]) -> None:
    """Let the newcomer watch a day, beside the server that runs in this process."""
    from services.demo.live import play_today

    while not server.started:
        if server.should_exit:
            return
        time.sleep(0.05)
    try:
        with House(Addresses.one(origin), logins) as house:
            play_today(house, tell=lambda line: print(line, flush=True))
    except DemoFailedError as error:
        print(f"La journée ne peut pas continuer : {error}", file=sys.stderr, flush=True)
    except Exception:
        if not server.should_exit:
            raise


def _demo(asked: argparse.Namespace) -> int:
    from services.demo.month import play_month

    places = {name: getattr(asked, name) for name in assembly.NAMES}
    if any(places.values()) and (asked.logins is None or not all(places.values())):
        raise BadHouse("to play in a house that runs already, give --orders, --dispatch, --billing and --logins")
    with ExitStack() as stack:
        if any(places.values()):
            addresses, logins = Addresses(**places), read_logins(asked.logins)
        else:
            addresses, logins = stack.enter_context(_passing_house())
        house = stack.enter_context(House(addresses, logins))
        account = play_month(house, asked.month, scale=asked.scale, solve_seconds=asked.solve_seconds)
    return 0 if account.is_balanced else 1


@contextmanager
def _passing_house() -> Iterator[tuple[Addresses, dict[str, str]]]:
    """Run an empty demo house in a process and a folder of its own; both are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="tournee-demo-") as name, socket.socket() as probe:
        folder = Path(name)
        house = HouseSettings(accounts=folder / "accounts.json")
        house, logins = demo_house(house, folder)
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        environment = {
            **os.environ,
            "TOURNEE_DEMO": "true",
            "TOURNEE_SECRET_KEY": house.secret_key.get_secret_value(),
            "TOURNEE_ACCOUNTS": str(house.accounts),
            "TOURNEE_BUS_URL": f"sqlite:///{folder}/log.db",
            "TOURNEE_LOG_LEVEL": "WARNING",
            # One visitor plays everybody, as fast as they can.
            "TOURNEE_REQUESTS_PER_SECOND": "10000",
            "TOURNEE_BURST_REQUESTS": "100000",
        }
        for service in assembly.NAMES:
            environment[f"{service.upper()}_DATABASE_URL"] = f"sqlite:///{folder}/{service}.db"
            environment[f"{service.upper()}_DATA_DIR"] = str(folder / service)
        command = [sys.executable, "-m", "services", "serve", "--port", str(port)]
        process = subprocess.Popen(command, env=environment)  # noqa: S603 - ourselves
        try:
            origin = f"http://127.0.0.1:{port}"
            _wait_until_ready(origin, process)
            yield Addresses.one(origin), logins
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait_until_ready(origin: str, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        with suppress(httpx.HTTPError):
            if httpx.get(f"{origin}/readyz", timeout=5).status_code == 200:
                return
        time.sleep(0.1)
    raise DemoFailedError("the house does not start; its last lines are above")


# -- months ----------------------------------------------------------------------------------------------------------


def _close_month(asked: argparse.Namespace) -> int:
    from services.billing import by_hand
    from services.billing.domain.money import in_french

    service = _opened("billing")
    try:
        closing = by_hand.close_month(service.database, asked.contract, asked.month)
    finally:
        service.database.dispose()
    if not closing.is_new:
        print(f"{closing.month} was closed before; its statements:")
    for statement in closing.statements:
        print(
            f"{statement.id}  {statement.number}  {statement.seller.name}  {statement.legs} legs  "
            f"{in_french(statement.net_cents)} HT  {in_french(statement.gross_cents)} TTC"
        )
    if not closing.statements:
        print(f"{closing.month} is closed: nothing was owed, hence no statement")
    return 0


def _export(asked: argparse.Namespace) -> int:
    from services.billing import by_hand

    service = _opened("billing")
    try:
        written = by_hand.export(service.database, asked.statement, asked.out, taker=getpass.getuser())
    finally:
        service.database.dispose()
    for path in written:
        print(path)
    return 0


# -- events set aside ------------------------------------------------------------------------------------------------


def _list_dead_letters(asked: argparse.Namespace) -> int:
    for name in _names(asked):
        database = _opened(name).database
        with database.view() as view:
            letters = inbox.dead_letters(view)
        for letter in letters:
            reason = "waits behind another of its key" if letter.is_parked else letter.reason
            place = f"{letter.partition.topic}/{letter.partition.number}@{letter.offset}"
            print(f"{name} {letter.id}  {letter.message.type}  {letter.message.subject}  {place}  {reason}")
        if not letters:
            print(f"{name}: nothing was set aside")
        database.dispose()
    return 0


def _replay_dead_letters(asked: argparse.Namespace) -> int:
    service = _opened(asked.service)
    result = replay_dead_letters(service.database, service.hears, asked.ids or None)
    service.database.dispose()
    print(f"{asked.service}: {result.replayed} took effect, {result.still_dead} still set aside")
    return 1 if result.still_dead and not asked.ids else 0


def _opened(name: str) -> Service:
    service = assembly.build(name)
    service.database.upgrade()
    return service


# -- the rest ----------------------------------------------------------------------------------------------------------


def _openapi(asked: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(prefix="tournee-openapi-") as folder:
        document = assembly.described(_names(asked), Path(folder))
    text = json.dumps(document, ensure_ascii=False, indent=2) + "\n"
    if asked.out:
        asked.out.write_text(text, encoding="utf-8")
    else:
        print(text, end="")
    return 0


def _add_account(asked: argparse.Namespace) -> int:
    if asked.scope and not asked.machine:
        raise BadHouse("scopes are for machines (--machine); people have roles")
    if not asked.login.isprintable() or " " in asked.login or not 1 <= len(asked.login) <= 100:
        raise BadHouse("a login is one word of at most 100 characters")
    accounts = AccountsFile(HouseSettings().accounts)
    secret = accounts.add(
        asked.login,
        name=asked.name,
        roles=asked.role,
        scopes=asked.scope,
        claims=dict(asked.claim),
        is_machine=asked.machine,
    )
    print(f"{asked.login} was added to {accounts.path}. Its secret, shown this once:\n{secret}")
    return 0


def _list_accounts(_asked: argparse.Namespace) -> int:
    for account in AccountsFile(HouseSettings().accounts).all():
        rights = [*account.roles, *account.scopes, *(f"{name}={value}" for name, value in account.claims.items())]
        print(f"{account.login:<24}{'machine' if account.is_machine else 'person':<10}{' '.join(rights)}")
    return 0


def _remove_account(asked: argparse.Namespace) -> int:
    AccountsFile(HouseSettings().accounts).remove(asked.login)
    print(f"{asked.login} was removed")
    return 0


def _import_city(asked: argparse.Namespace) -> int:
    from services.dispatch.city import import_extract
    from services.dispatch.settings import DispatchSettings
    from services.dispatch.travel import network
    from services.dispatch.travel.streets import import_network

    settings = DispatchSettings()
    data_dir = settings.data_dir
    build: Callable[[tuple[float, float, float, float]], object] | None = None
    if network.can_build():
        build = partial(import_network, asked.file, data_dir)
    streets = import_extract(asked.file, data_dir, before_switch=build)
    west, south, east, north = streets.bounds
    print(
        f"{streets.streets} streets and {streets.others} other features, {streets.bytes / 1e6:.1f} MB, "
        f"from {south:.3f}, {west:.3f} to {north:.3f}, {east:.3f}"
    )
    if settings.travel_url:
        print("the map has these streets; rides follow the server named by DISPATCH_TRAVEL_URL, as long as that is set")
    elif build:
        print("rides follow these streets from now on, in services that run already too")
    else:
        print(
            "the map has these streets; travel times stay estimated, because osrm-bindings is not installed: it needs "
            "Python 3.12 or newer (pip install osrm-bindings), or set DISPATCH_TRAVEL_URL to an OSRM or Valhalla server"
        )
    return 0
