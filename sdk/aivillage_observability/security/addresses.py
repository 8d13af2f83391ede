"""Who is at the other end: the peer, or what a trusted proxy says of it."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network
HOPS_MAX = 30


@lru_cache(maxsize=8192)
def canonical(text: str) -> str:
    """Return an address in its one spelling, without port, zone or mapping; nothing for what is no address."""
    host = text.strip()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


def networks(values: Iterable[str]) -> tuple[Network, ...]:
    """Return what can be read as networks; an address is a network of one."""
    found: list[Network] = []
    for value in values:
        try:
            found.append(ip_network(value.strip(), strict=False))
        except ValueError:
            continue
    return tuple(found)


def inside(address: str, ranges: Sequence[Network]) -> bool:
    """Return whether a canonical address is in one of the networks."""
    if not address or not ranges:
        return False
    parsed = ip_address(address)
    return any(parsed.version == network.version and parsed in network for network in ranges)


def client_address(peer: str, forwarded: str, trusted: Sequence[Network]) -> str:
    """Return the client: the peer, or the last hop of X-Forwarded-For that is no trusted proxy.

    The header is read only where the peer itself is trusted, and from the right: what stands further left was written
    by the client.
    """
    address = canonical(peer)
    if not forwarded or not inside(address, trusted):
        return address
    for hop in reversed(forwarded.split(",")[-HOPS_MAX:]):
        named = canonical(hop)
        if not named:
            return address
        address = named
        if not inside(address, trusted):
            return address
    return address
