"""Work put off until the transaction has committed, each item once, however often it was asked for."""

from collections.abc import Callable

from django.db import transaction

Items = dict[str, None]


class _Gathered:
    """One of the hooks of a transaction that share their items: the first to run does them all."""

    def __init__(self, name: str, items: Items, do: Callable[[list[str]], object]) -> None:
        self.name, self.items, self._do = name, items, do

    def __call__(self) -> None:
        items = list(self.items)
        self.items.clear()
        if items:
            self._do(items)


def gather(name: str, item: str, do: Callable[[list[str]], object]) -> None:
    """Have `do` called once after the commit with every item gathered under the name.

    Each item keeps a hook of its own, so that rolling back one savepoint does not take the others' call with it.
    """
    hooks = (hook for _, hook, _ in reversed(transaction.get_connection().run_on_commit))
    last = next((hook for hook in hooks if isinstance(hook, _Gathered) and hook.name == name), None)
    items: Items = last.items if last else {}
    items[item] = None
    transaction.on_commit(_Gathered(name, items, do), robust=True)
