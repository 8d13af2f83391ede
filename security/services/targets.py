"""What may be blocked or allowed: the one spelling of an address, a network or a user, and what is ours."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network

from django.conf import settings

from aivillage_console.accounts.services import Actor, Refused
from security.catalogue import plain_address
from security.models import BlockScope

Network = IPv4Network | IPv6Network
# A network wider than this must be typed again; one wider than that is never blocked.
CONFIRM_FROM = {4: 24, 6: 64}
WIDEST = {4: 8, 6: 32}
ALWAYS_OURS = (
    "127.0.0.0/8",
    "::1/128",
    "0.0.0.0/32",
    "::/128",
    "169.254.0.0/16",
    "fe80::/10",
    "224.0.0.0/4",
    "ff00::/8",
)
MOST_CHARS = 200


def spelled(scope: str, value: str) -> tuple[str, str]:
    """Return scope and value in their one spelling; raise Refused for what is none."""
    text = value.strip()
    if scope == BlockScope.USER:
        if not text or len(text) > MOST_CHARS or "\0" in text:
            raise Refused(f"A user is named by 1 to {MOST_CHARS} characters.", field="value")
        return scope, text
    if scope not in BlockScope.values:
        raise Refused(f"The scope is one of {', '.join(BlockScope.values)}.", field="scope")
    try:
        if "/" not in text:
            return BlockScope.IP.value, str(plain_address(text))
        network = ip_network(text, strict=False)
    except ValueError:
        raise Refused(
            f"{text[:60]!r} is no address and no network, such as 192.0.2.7 or 192.0.2.0/24.", field="value"
        ) from None
    if network.prefixlen == network.max_prefixlen:
        return BlockScope.IP.value, str(plain_address(str(network.network_address)))
    return BlockScope.CIDR.value, str(network)


@lru_cache(maxsize=8)
def _networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ip_network(text, strict=False) for text in texts)


def own_networks() -> Sequence[Network]:
    """Return the networks that are blocked only by force: loopback, our proxies and what the setting names."""
    config = settings.CONFIG
    return _networks((*ALWAYS_OURS, *config.trusted_proxies, *config.security_own_networks))


def overlapping(value: str, networks: Sequence[Network]) -> Network | None:
    """Return the network that an address or a network shares addresses with, or None."""
    own = ip_network(value)
    return next((each for each in networks if each.version == own.version and each.overlaps(own)), None)


def dangers(scope: str, value: str, actor: Actor) -> str:
    """Return why blocking this would hit ourselves, empty where it would not."""
    if scope == BlockScope.USER:
        return "That is you." if value.casefold() == actor.label.casefold() else ""
    if (ours := overlapping(value, own_networks())) is not None:
        return f"{value} lies in {ours}, which is one of our own networks."
    if actor.ip and overlapping(value, _networks((str(plain_address(actor.ip)),))) is not None:
        return f"{value} holds {actor.ip}, the address you are coming from."
    return ""


def width_problem(scope: str, value: str, confirm: str) -> str:
    """Return why a network is too wide, or has to be typed again; empty where neither."""
    if scope != BlockScope.CIDR:
        return ""
    network = ip_network(value)
    if network.prefixlen < WIDEST[network.version]:
        return f"Networks wider than /{WIDEST[network.version]} are not blocked."
    if network.prefixlen < CONFIRM_FROM[network.version] and confirm.strip() != value:
        return f"{value} holds {network.num_addresses} addresses: type it again to confirm."
    return ""
