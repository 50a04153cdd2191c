"""`make platforms`: what each simulated platform does with a source, which the source's file name decides."""

from local.platforms.apivideo import behaviour as apivideo
from local.platforms.apsaravideo import behaviour as apsaravideo
from local.platforms.twelvelabs import behaviour as twelvelabs
from local.platforms.videodb import behaviour as videodb

TABLES = {
    "VideoDB": videodb.table,
    "TwelveLabs": twelvelabs.table,
    "api.video": apivideo.table,
    "ApsaraVideo VOD": apsaravideo.table,
}


def main() -> None:
    print("A source's file name decides: https://media.example.com/twice.mp4, or with knobs, .../lecture.mp4?delay=2")
    for platform, table in TABLES.items():
        print(f"\n{platform}\n\n{table()}")


if __name__ == "__main__":
    main()
