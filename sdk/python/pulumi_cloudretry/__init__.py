"""Retry actions of cloud APIs as Pulumi resources."""
