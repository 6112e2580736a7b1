"""nats-server's accounts and users as configuration text: for the embedded server, and for `deploy/nats.conf`.

`python -m deploy.nats_conf` prints `deploy/nats.conf`, where passwords and the issuer come from the environment; a
test compares it with the file. Give values there quotes if they could be read as numbers ('"12e4…"').
"""

import json
import re
from collections.abc import Callable

from producers.permissions import ADMIN, EXPORTS, INSIDE, OUTSIDE, Export, Permissions, users

_HEAD = """\
# The nats-server of compose.yaml, printed by `python -m deploy.nats_conf`: edit producers/permissions.py instead.
# Passwords and the key that signs outsiders' rights come from the environment: `python -m deploy.dotenv`.
server_name: ganglion
listen: "0.0.0.0:4222"
http: "127.0.0.1:8222"
max_payload: 1MB
"""
_STORE = """\
jetstream {
  store_dir: "/data"
  max_file_store: 8GB
  max_memory_store: 256MB
  sync_interval: 100ms
}
"""

Secret = Callable[[str], str]


def accounts(password: Secret, issuer: str) -> str:
    """The two accounts, a user for each role, and who decides about everybody else.

    `password` gives a role's as it is to be written, `issuer` is the public nkey that the callout signs with.
    """
    roles = users()
    lines = [
        # An outsider's token arrives in the first line, which is bounded by this.
        "max_control_line: 16KB",
        "accounts {",
        f"  {INSIDE} {{",
        "    jetstream: enabled",
        "    users: [",
        *(line for role, rights in roles.items() for line in _user(role, password(role), rights)),
        "    ]",
        "    exports: [",
        *(f"      {{ {_exported(export)} }}" for export in EXPORTS),
        "    ]",
        "  }",
        f"  {OUTSIDE} {{",
        "    imports: [",
        *(f"      {{ {_imported(export)} }}" for export in EXPORTS),
        "    ]",
        "  }",
        "}",
        "authorization {",
        "  timeout: 5",
        f"  auth_callout {{ issuer: {issuer}, account: {INSIDE}, auth_users: [{', '.join(roles)}] }}",
        "}",
    ]
    return "\n".join(lines) + "\n"


def variable(role: str) -> str:
    """The environment variable with a role's password, in `deploy/nats.conf` and compose.yaml."""
    return "NATS_PASSWORD" if role == ADMIN else f"NATS_PASSWORD_{re.sub('[^A-Z]', '_', role.upper())}"


def deployed() -> str:
    """The text of `deploy/nats.conf`."""
    return _HEAD + accounts(lambda role: f"${variable(role)}", "$NATS_ISSUER") + _STORE


def _user(role: str, password: str, rights: Permissions) -> list[str]:
    if role == ADMIN:
        return [f"      {{ user: {role}, password: {password} }}"]
    return [
        f"      {{ user: {role}, password: {password}, permissions: {{",
        f"        publish: {{ allow: {_listed(rights.publish)}{_denied(rights)} }}",
        f"        subscribe: {{ allow: {_listed(rights.subscribe)} }}",
        *(['        allow_responses: { max: 1, expires: "1s" }'] if rights.answers else []),
        "      } }",
    ]


def _denied(rights: Permissions) -> str:
    return f", deny: {_listed(rights.deny_publish)}" if rights.deny_publish else ""


def _listed(subjects: tuple[str, ...]) -> str:
    return json.dumps(subjects)


def _exported(export: Export) -> str:
    text = f'{export.kind}: "{export.subject}"'
    if export.answers != "single":
        text += f", response_type: {export.answers}"
    return text if export.forget_after is None else f'{text}, response_threshold: "{export.forget_after}s"'


def _imported(export: Export) -> str:
    text = f'{export.kind}: {{ account: {INSIDE}, subject: "{export.subject}" }}'
    return f"{text}, share: true" if export.says_who else text


if __name__ == "__main__":
    print(deployed(), end="")
