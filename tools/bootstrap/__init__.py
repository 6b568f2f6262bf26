"""The set-up of a working copy: one virtual environment and one Pulumi engine, each made once."""
