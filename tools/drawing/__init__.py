"""Markdown with Mermaid diagrams, drawn by a real browser without a window."""
