"""What a service tells the console about attacks, and how it keeps blocked visitors out.

`asgi.SecurityMiddleware` and `wsgi.SecurityMiddleware` stand in front of an application; `SecurityEvents` reports what
only the application knows; `BlockList` is the list both read.
"""

from aivillage_observability.security.block_list import BlockList
from aivillage_observability.security.events import SecurityEvents
from aivillage_observability.security.watch import Watch, WatchOptions

__all__ = ["BlockList", "SecurityEvents", "Watch", "WatchOptions"]
