"""Pages that several gates write, each its own part: all before the first chapter, or a chapter.

A chapter begins with a line `## TITLE` and ends before the next one.
"""

import os
import platform


def split(page: str) -> list[str]:
    """The part before the first chapter, then the chapters without their `## `."""
    return [part.rstrip("\n") + "\n" for part in ("\n" + page).split("\n## ")]


def joined(parts: list[str]) -> str:
    return "\n## ".join(parts).lstrip("\n")


def with_top(page: str, top: str) -> str:
    return joined([top.rstrip("\n") + "\n", *split(page)[1:]])


def with_chapter(page: str, title: str, text: str) -> str:
    """A chapter that is not there yet goes to the end."""
    top, *chapters = split(page)
    chapter = f"{title}\n\n{text.strip()}\n"
    places = [i for i, one in enumerate(chapters) if one.split("\n", 1)[0] == title]
    if places:
        chapters[places[0]] = chapter
    else:
        chapters.append(chapter)
    return joined([top, *chapters])


def machine() -> str:
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown")
    return f"{os.cpu_count()} cores ({cpu}), Linux {platform.release()}"
