"""The chaos matrix: real processes are killed and a strict emulator misbehaves, and then the effects are counted."""
