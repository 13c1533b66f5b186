import MirrorCore
import MirrorImage
import MirrorState
import MirrorTarget

/// When an event was, in QMP's shape.
struct EventTime: Encodable { let seconds, microseconds: Int }

/// A line about the processes of a mount.
private struct ProcessEvent: Encodable {
    struct Data: Encodable {
        let reason: String
        let generation: Int
    }

    let seq: UInt64
    let timestamp: EventTime
    let event: String
    let data: Data
}

extension EventLog {
    package func append(word: String, reason: String, generation: Int) {
        append { number, time in
            let event = ProcessEvent(
                seq: number,
                timestamp: EventTime(seconds: time.seconds, microseconds: time.microseconds),
                event: word, data: .init(reason: reason, generation: generation))
            return JSON.bytes(event) + [UInt8(ascii: "\n")]
        }
    }
}
