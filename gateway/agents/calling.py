"""Agents that are called with their work: where they may be, and the secret by which they know who calls."""

from events.endpoints import EndpointForbiddenError, EndpointRules
from events.signing import SIGNING, shown
from gateway.errors import Fault, InvalidBodyError
from screening.sealing import Sealer

_FIELD = "endpoint_url"
_NO_KEY = "Nobody is called here: GANGLION_SEAL_KEYS is not set."


class Calls:
    """Judges endpoints by their URL; where its name leads is looked at when it is called."""

    def __init__(self, rules: EndpointRules, sealer: Sealer | None) -> None:
        self._rules = rules
        self._sealer = sealer

    def admit(self, endpoint_url: str | None) -> None:
        """Return if an agent may be called there. Raises InvalidBodyError."""
        if endpoint_url is None:
            return
        if self._sealer is None:
            raise InvalidBodyError([Fault(field=_FIELD, message=_NO_KEY)])
        try:
            self._rules.check(endpoint_url)
        except EndpointForbiddenError as error:
            raise InvalidBodyError([Fault(field=_FIELD, message=error.detail)]) from error

    def secret(self, tenant: str, agent_id: str, token_hash: str) -> str | None:
        """What calls to an agent with this token are signed with, as it is shown; it is derived and never kept."""
        if self._sealer is None:
            return None
        return shown(self._sealer.secrets_for(tenant, SIGNING, agent_id, token_hash)[0])
