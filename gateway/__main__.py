"""`python -m gateway`: serve until SIGTERM."""

import gc

if __name__ == "__main__":
    gc.disable()  # until `settle_memory`: all that is imported stays, and looking through it took a fifth of the time

import prometheus_client

from events.process import configure_logs, settle_memory
from events.settings import settings_explained
from gateway.app import GatewaySettings, create_gateway
from gateway.server import server_for
from gateway.tenants.settings import QuotaFileError
from screening.policy import PolicyError


def main() -> None:
    """Run one gateway process with the settings of the environment."""
    configure_logs()
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it untyped
    with settings_explained():
        settings = GatewaySettings.from_environment()
        try:
            settings.screening.read_policy()
            settings.quotas.read()
        except (PolicyError, QuotaFileError) as error:
            raise SystemExit(str(error)) from None
        gateway = create_gateway(settings)
    settle_memory()
    server_for(gateway, settings.http).run()


if __name__ == "__main__":
    main()
