"""The path of a callback: its function proves, reads and sends; the inbox archives and applies."""

from video_jobs.callbacks.endpoint import endpoint

__all__ = ["endpoint"]
