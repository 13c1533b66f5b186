/// What the keeper process and a worker say to each other, one packet a message.
///
/// A packet is a byte that says what it is, three numbers of 32 bits (little-endian), and text. A
/// keeper outlives upgrades of its worker: numbers of messages are never used for something else,
/// and what is not known is passed over.
public enum KeeperMessage: Equatable, Sendable {
    // Worker to keeper.
    /// Carries a descriptor.
    case keep(String)
    case drop(String)
    /// The mount is served.
    case ready
    /// The worker cannot serve, and ends: an exit code and why.
    case failed(code: Int32, String)
    /// Answers `ping` with a line about the mount.
    case pong(String)
    case goodbye(Goodbye)
    /// To a new keeper, after everything that is kept: carries the worker's handle.
    case adopt(worker: Int32, predecessors: Int32)

    // Keeper to worker.
    /// Comes first; `keep` for everything that is held follows, then `endOfList`.
    case life(WorkerLife)
    case endOfList
    case ping
    /// The answer to `adopt`: the keeper's process id.
    case welcome(keeper: Int32)

    public enum Goodbye: Int32, Sendable {
        case unmounted = 1
        case restart = 2
    }
}

/// What a worker is told about those before it.
public struct WorkerLife: Equatable, Sendable {
    public var predecessors = 0
    /// How many of them have died soon after their start, one after the other.
    public var deathsInARow = 0
    /// How the last one has ended; empty for the first worker.
    public var lastEnd = ""
    public var keeper: Int32 = 0

    public init() {}
}

extension KeeperMessage {
    public var bytes: [UInt8] {
        switch self {
        case .keep(let name): Self.packet(1, [], name)
        case .drop(let name): Self.packet(2, [], name)
        case .ready: Self.packet(3)
        case .failed(let code, let text): Self.packet(4, [code], text)
        case .pong(let text): Self.packet(5, [], text)
        case .goodbye(let reason): Self.packet(6, [reason.rawValue])
        case .adopt(let worker, let predecessors): Self.packet(7, [worker, predecessors])
        case .life(let life):
            Self.packet(
                65,
                [
                    Int32(clamping: life.predecessors), Int32(clamping: life.deathsInARow),
                    life.keeper,
                ],
                life.lastEnd)
        case .endOfList: Self.packet(66)
        case .ping: Self.packet(67)
        case .welcome(let keeper): Self.packet(68, [keeper])
        }
    }

    /// Nil for what this version does not know.
    public init?(_ bytes: [UInt8]) {
        guard bytes.count >= Self.headSize else { return nil }
        let numbers = (0..<3).map { Self.number(bytes[(1 + 4 * $0)...]) }
        let text = String(decoding: bytes[Self.headSize...], as: UTF8.self)
        switch bytes[0] {
        case 1: self = .keep(text)
        case 2: self = .drop(text)
        case 3: self = .ready
        case 4: self = .failed(code: numbers[0], text)
        case 5: self = .pong(text)
        case 6:
            guard let reason = Goodbye(rawValue: numbers[0]) else { return nil }
            self = .goodbye(reason)
        case 7: self = .adopt(worker: numbers[0], predecessors: numbers[1])
        case 65:
            var life = WorkerLife()
            (life.predecessors, life.deathsInARow) = (Int(numbers[0]), Int(numbers[1]))
            (life.keeper, life.lastEnd) = (numbers[2], text)
            self = .life(life)
        case 66: self = .endOfList
        case 67: self = .ping
        case 68: self = .welcome(keeper: numbers[0])
        default: return nil
        }
    }

    private static let headSize = 13
    /// A packet is received into 4 KiB.
    private static let longestText = 3500

    private static func packet(_ kind: UInt8, _ numbers: [Int32] = [], _ text: String = "")
        -> [UInt8]
    {
        var bytes = [kind]
        for index in 0..<3 {
            let number = UInt32(bitPattern: index < numbers.count ? numbers[index] : 0)
            bytes += (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
        }
        return bytes + text.utf8.prefix(longestText)
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> Int32 {
        let value = bytes.prefix(4).reversed().reduce(0 as UInt32) { $0 << 8 | UInt32($1) }
        return Int32(bitPattern: value)
    }
}
