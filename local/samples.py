"""The key that the sample events are signed with.

It is published on purpose: events/*.json are signed with it, so that they are accepted by the local stack, which adds
it to its own keys, and by the local stack alone.
"""

SAMPLE_CALLBACK_KEY = "video-jobs-sample-key-not-a-secret"
