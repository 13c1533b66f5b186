import MirrorCore

/// What is expected of one parameter: a row for each key that there is. Values read as `shown`
/// writes them.
struct ParameterRow {
    /// What else must be written for the key to make sense.
    var with: [String] = []
    /// What the parameter is where nothing is written; "nil" for nothing, which cannot be written.
    let standard: String
    /// Other values as they are written, and what the parameter is then.
    let valid: KeyValuePairs<String, String>
    let invalid: [String]

    /// The row of a key. A key without one does not compile.
    static func row(_ key: ParameterKey) -> ParameterRow {
        switch key {
        case .sync, .target, .seed, .checkpoint, .existing, .targetIsZero, .unmap, .intent:
            what(key)
        case .granularity, .bufferSize, .speed, .minSpeed, .pace, .copyMode, .fsync: flow(key)
        case .onSourceError, .onTargetError, .maxRetries, .writeTimeout: errors(key)
        case .maxPause, .cut, .cutWait, .preCut, .postCut, .cutTimeout: cut(key)
        }
    }

    private static func what(_ key: ParameterKey) -> ParameterRow {
        let long = String(repeating: "a", count: 64)
        return switch key {
        case .sync:
            .init(
                standard: "full", valid: ["top": "top", "none": "none"],
                invalid: ["all", "", "Full"])
        case .target:
            .init(
                standard: "nil",
                valid: [
                    "/b a/": "/b a/", "/nbd://x": "/nbd://x", "nbd://host/x": "uri nbd://host/x",
                    "nbd://[::1]:10810": "uri nbd://[::1]:10810",
                    "nbd+unix:///x?socket=/run/s": "uri nbd+unix:///x?socket=/run/s",
                ],
                invalid: [
                    "", "backup", "nbd:", "nbd://", "nbd:///x", "nbd+unix://", "nbd+unix://host/x",
                    "nbds://host/x", "/a\0b", "nbd://host/\0",
                ])
        case .seed:
            .init(
                with: ["sync=none"], standard: "nil",
                valid: ["asserted": "asserted", "reflink": "reflink"],
                invalid: ["maybe", "", "none"])
        case .checkpoint:
            .init(
                with: ["sync=incremental"], standard: "nil",
                valid: ["monday": "monday", "A-z_0.9": "A-z_0.9", long: long],
                invalid: ["", ".hidden", "a/b", "a b", "é", long + "a"])
        case .existing:
            .init(
                standard: "fail", valid: ["replace": "replace", "reuse": "reuse"],
                invalid: ["keep", ""])
        case .targetIsZero:
            .init(standard: "off", valid: ["on": "on"], invalid: ["true", "", "1"])
        default: .init(standard: "on", valid: ["off": "off"], invalid: ["yes", "", "1"])
        }
    }

    private static func flow(_ key: ParameterKey) -> ParameterRow {
        switch key {
        case .granularity:
            .init(
                standard: "4096", valid: ["512": "512", "1M": "1048576", "16MiB": "16777216"],
                invalid: ["3000", "256", "128M", "0", "x", ""])
        case .bufferSize:
            .init(
                standard: "16777216", valid: ["64K": "65536", "1GiB": "1073741824"],
                invalid: ["1K", "2G", "-1", ""])
        case .speed:
            .init(
                standard: "0", valid: ["100M": "104857600", "1": "1"], invalid: ["-1", "fast", ""])
        case .minSpeed:
            .init(standard: "0", valid: ["1M": "1048576"], invalid: ["x", "-1", ""])
        case .pace: .init(standard: "guest", valid: ["full": "full"], invalid: ["slow", ""])
        case .copyMode:
            .init(
                standard: "auto",
                valid: ["background": "background", "write-blocking": "write-blocking"],
                invalid: ["fast", "write_blocking", ""])
        default:
            .init(
                with: ["copy-mode=write-blocking"], standard: "source", valid: ["both": "both"],
                invalid: ["target", ""])
        }
    }

    private static func errors(_ key: ParameterKey) -> ParameterRow {
        switch key {
        case .onSourceError:
            .init(
                standard: "report",
                valid: ["ignore": "ignore", "stop": "stop", "enospc": "enospc"],
                invalid: ["panic", "", "auto"])
        case .onTargetError:
            .init(
                standard: "enospc",
                valid: ["ignore": "ignore", "stop": "stop", "report": "report"],
                invalid: ["panic", "", "auto"])
        case .maxRetries:
            .init(
                standard: "10", valid: ["0": "0", "1000": "1000"],
                invalid: ["-1", "1001", "many", ""])
        default:
            .init(
                standard: "0", valid: ["1": "1", "600000": "600000"],
                invalid: ["1s", "-1", "600001", ""])
        }
    }

    private static func cut(_ key: ParameterKey) -> ParameterRow {
        let noProgram = ["", "freeze", "./freeze", "/bin/", "/bin\0"]
        return switch key {
        case .maxPause:
            .init(
                standard: "300", valid: ["1": "1", "60000": "60000"],
                invalid: ["0", "60001", "+5", ""])
        case .cut: .init(standard: "now", valid: ["flush": "flush"], invalid: ["later", ""])
        case .cutWait:
            .init(
                standard: "5000", valid: ["1": "1", "600000": "600000"],
                invalid: ["0", "600001", "5s", ""])
        case .preCut:
            .init(standard: "nil", valid: ["/bin/a b": "/bin/a b"], invalid: noProgram)
        case .postCut:
            .init(standard: "nil", valid: ["/bin/thaw": "/bin/thaw"], invalid: noProgram)
        default:
            .init(
                standard: "10000", valid: ["1": "1", "600000": "600000"],
                invalid: ["0", "600001", "1m", ""])
        }
    }
}

extension JobParameters {
    /// What one parameter is.
    func shown(_ key: ParameterKey) -> String {
        switch key {
        case .sync: sync.rawValue
        case .target: Self.shown(target, targetIsURI ? "uri " : "")
        case .granularity: "\(granularity.bytes)"
        case .bufferSize: "\(bufferSize)"
        case .speed: "\(speed)"
        case .pace: pace.rawValue
        case .minSpeed: "\(minSpeed)"
        case .copyMode: copyMode.rawValue
        case .unmap: unmap ? "on" : "off"
        case .onSourceError: onSourceError.rawValue
        case .onTargetError: onTargetError.rawValue
        case .existing: existing.rawValue
        case .writeTimeout: "\(writeTimeout)"
        case .fsync: fsync.rawValue
        case .maxPause: "\(maxPause)"
        case .maxRetries: "\(maxRetries)"
        case .seed: seed?.rawValue ?? "nil"
        case .checkpoint: checkpoint ?? "nil"
        case .targetIsZero: targetIsZero ? "on" : "off"
        case .cut: cut.rawValue
        case .cutWait: "\(cutWait)"
        case .preCut: Self.shown(preCut)
        case .postCut: Self.shown(postCut)
        case .cutTimeout: "\(cutTimeout)"
        case .intent: intent ? "on" : "off"
        }
    }

    private static func shown(_ path: [UInt8]?, _ kind: String = "") -> String {
        path.map { kind + String(decoding: $0, as: UTF8.self) } ?? "nil"
    }
}
