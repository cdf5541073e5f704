"""Turns lifted to a larger role by our own caution, and charged as the lighter ones they are."""

from dataclasses import replace

from graphs.state import Route


def plainly(route: Route, served: str) -> Route:
    """A lifted turn that another role answers is asked for as what it is: nobody fell from it."""
    if route.lifted_from is None or served == route.role:
        return route
    return replace(route, role=route.lifted_from, lifted_from=None)
