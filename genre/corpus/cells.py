"""Texts in the cells of a CSV table, changed so that a spreadsheet program does not run them as formulas."""

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet program runs a cell that begins with one of these


def harmless_path(path: str) -> str:
    """Returns the relative path of a file with `./` before it, if a spreadsheet program would take it for a formula."""
    return f"./{path}" if path.startswith(FORMULA_STARTS) else path


def harmless_text(text: str) -> str:
    """Returns a text with an apostrophe before it, if a spreadsheet program would take it for a formula."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text
