"""/impact_assessment.md: what this refinement changes in the draft."""

from collections.abc import Mapping

from engine.writing.statements import Changes, Requirement

PATH = "/impact_assessment.md"


def write(base: Mapping[str, str], files: Mapping[str, str], requirements: list[Requirement], changes: Changes) -> str:
    """The whole file; `base` and `files` map paths to texts."""
    paths = {path for path in files if path != PATH}
    added = sorted(paths - base.keys())
    changed = sorted(path for path in paths & base.keys() if base[path] != files[path])
    same = sorted(path for path in paths & base.keys() if base[path] == files[path])
    lines = ["# Impact assessment", "", f"**Size:** {_size(changes)}.", "", "## Requirements", ""]
    for heading, names in (
        ("Added", changes["added"]),
        ("Changed", changes["changed"]),
        ("Removed", changes["removed"]),
        ("Asked for again", changes["repeated"]),
    ):
        lines += [f"- {heading}: {name}" for name in names]
    if not any((changes["added"], changes["changed"], changes["removed"], changes["repeated"])):
        lines.append("- None is touched.")
    lines += ["", f"{len(requirements)} requirements stand after this.", "", "## Files", ""]
    for word, group in (("New", added), ("Changed", changed), ("Unchanged", same)):
        lines += [f"- {word}: `{path}`" for path in group]
    lines += ["", "## If it is rejected", "", "Nothing changes: the draft stays as it is."]
    return "\n".join(lines)


def _size(changes: Changes) -> str:
    count = len(changes["added"]) + len(changes["changed"]) + len(changes["removed"])
    return "small" if count <= 3 else "medium" if count <= 10 else "large: consider smaller refinements"
