"""Takes every callback from the Inbox: archives it and applies it to its job."""

from video_jobs.aws.consumers import consumer
from video_jobs.callbacks import inbox

TRIES = 10
"""How often a callback is received before a defect of ours sends it to the dead letters."""

handler = consumer(
    inbox.take,
    queue="INBOX_QUEUE_URL",
    dead_letters="INBOX_DEAD_LETTERS_URL",
    tries=TRIES,
    afterwards=inbox.send,
)
