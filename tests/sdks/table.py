"""The matrix as the documentation shows it: written from outcomes, and read again to compare. Pure."""

from collections.abc import Iterable, Mapping, Sequence

WAYS = ("direct", "http", "https")  # to the store itself; through the gateway
BEGIN, END = "<!-- matrix {} -->", "<!-- end of matrix {} -->"

Row = Mapping[str, str]  # operation → cell


def cell(outcomes: Sequence[str]) -> str:
    """What the three ways came to: once where they agree, else each by name."""
    if len(set(outcomes)) == 1:
        return outcomes[0]
    return " ".join(f"{way}: {outcome}" for way, outcome in zip(WAYS, outcomes, strict=True))


def differs(outcomes: Sequence[str]) -> bool:
    return len(set(outcomes)) > 1


def render(rows: Mapping[str, Row], operations: Iterable[str]) -> str:
    names = list(operations)
    lines = [["client", *names], ["---"] * (len(names) + 1)]
    lines += [[client, *(row[name] for name in names)] for client, row in rows.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def read(page: str, store: str) -> dict[str, dict[str, str]]:
    """The rows of the table of that store: client → operation → cell."""
    text = page.partition(BEGIN.format(store))[2].partition(END.format(store))[0]
    lines = [[part.strip() for part in line.strip("| ").split(" | ")] for line in text.strip().splitlines()]
    if not lines:
        return {}
    (_, *names), _, *rows = lines
    return {client: dict(zip(names, cells, strict=True)) for client, *cells in rows}


def explained(page: str, store: str, client: str, operation: str) -> bool:
    """Whether the page says why this differs: a line that begins with - **store, client, operation:**"""
    return f"\n- **{store}, {client}, {operation}:** " in page


def explanations(page: str) -> set[tuple[str, str, str]]:
    """(store, client, operation) of every such line."""
    begun = (line.removeprefix("- **").partition(":**") for line in page.splitlines() if line.startswith("- **"))
    heads = (tuple(head.split(", ")) for head, colon, _ in begun if colon)
    return {(head[0], head[1], head[2]) for head in heads if len(head) == 3}
