"""What a page is measured by: accessibility (axe), bytes, first paint, whether it scrolls sideways."""

from functools import cache
from importlib import resources
from typing import Any

from playwright.sync_api import Page

from tests.support.browser import Tab

AXE_RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
SHOWN_NODES = 3


@cache
def _axe() -> str:
    return (resources.files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


def accessibility(page: Page) -> str:
    """What axe finds in the page as it stands: "" = nothing, else one rule after the other with where it is broken."""
    page.evaluate(_axe())  # through the driver, which the page's own content policy does not bind
    found = page.evaluate(
        "rules => axe.run(document, {runOnly: rules, resultTypes: ['violations'], preload: false})", list(AXE_RULES)
    )
    return "\n".join(_violation(violation) for violation in found["violations"])


def _violation(violation: dict[str, Any]) -> str:
    nodes = violation["nodes"]
    where = [f"  {node['target'][-1]}: {node['html'][:160]}\n    {_summary(node)}" for node in nodes[:SHOWN_NODES]]
    more = [f"  … and {len(nodes) - SHOWN_NODES} more"] if len(nodes) > SHOWN_NODES else []
    return "\n".join([f"{violation['id']} ({violation['impact']}): {violation['help']}", *where, *more])


def _summary(node: dict[str, Any]) -> str:
    return "; ".join(check["message"] for check in (*node["any"], *node["all"], *node["none"]))


def bytes_in_all(tab: Tab, url: str) -> int:
    """Open the page: what came over the wire for it, heads and bodies, by the browser's own count."""
    before = len(tab.requests)
    tab.page.goto(url, wait_until="networkidle")
    sizes = [request.sizes() for request in tab.requests[before:]]
    return sum(size["responseHeadersSize"] + size["responseBodySize"] for size in sizes)


def first_paint(page: Page) -> float:
    """Milliseconds from the begin of the navigation to the first contentful paint."""
    paint = "performance.getEntriesByName('first-contentful-paint')[0]"
    page.wait_for_function(f"() => {paint}")
    return float(page.evaluate(f"{paint}.startTime"))


def scrolls_sideways(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))
