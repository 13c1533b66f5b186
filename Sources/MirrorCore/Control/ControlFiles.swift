/// The files under `.mirror/`, with a line each; help and documentation say the same.
public enum ControlFiles {
    public static let all: [(name: String, meaning: String)] = [
        ("status", "for people: a line for each job, below it what is wrong and what to do"),
        ("status.json", "the same for programs; the keys are stable, QEMU's where it has one"),
        (
            "events",
            "lines of JSON with sequence numbers, the last 1000; ends at EOF, can be `poll()`ed for more"
        ),
        ("control", "write one command, read the answer from the same handle"),
        ("metrics", "Prometheus text; every metric begins with `twinfs_`"),
        ("jobs/ID/status.json", "one job's part of `status.json`"),
        ("jobs/ID/dirty", "its dirty extents, JSON"),
        ("checkpoints/IMAGE/NAME", "what changed in the image since the checkpoint, JSON"),
    ]
}
