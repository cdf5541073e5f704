"""The payment processor for one command: the running product's, or the one that is configured."""

from backend.parts import joined
from backend.settings import Settings
from integrations.embedded.homelock import taken
from integrations.stripe_payments import StripePayments


def processor_at(settings: Settings) -> StripePayments | None:
    """The processor of the running product or of the settings; None when there is neither."""
    if not settings.simulated_stripe:
        key, hook = settings.stripe_api_key, settings.stripe_webhook_secret
        base_url = settings.stripe_base_url
    elif taken(settings.home):
        parts = joined(settings.home)
        key, hook, base_url = parts.stripe_api_key, None, parts.stripe_base_url
    else:
        return None
    assert key is not None
    secret = hook.get_secret_value() if hook else "none"
    return StripePayments(key.get_secret_value(), secret, base_url=base_url)
