"""The emulator: the five cloud APIs of this provider on one local port, strict enough for the clouds' own SDKs."""

from cloudretry.emulator.credentials import CREDENTIALS, Credentials
from cloudretry.emulator.errors import EmulatorError, ScenarioError
from cloudretry.emulator.server import Emulator

__all__ = ["CREDENTIALS", "Credentials", "Emulator", "EmulatorError", "ScenarioError"]
