"""What was retried, when, why and with what outcome: read from a stack's state, told in several forms.

``reading`` takes an export apart and keeps its secrets; ``summary`` holds what is told; each form is a module of its
own.
"""
