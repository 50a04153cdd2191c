"""TwelveLabs: an upload that is indexed, by two plans: asset and indexed asset, or the task that they replace."""
