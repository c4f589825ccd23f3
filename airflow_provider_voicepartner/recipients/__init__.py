"""Who is messaged: lists, queries and files of recipients, read and checked row by row."""

from __future__ import annotations
