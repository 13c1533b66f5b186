import CFuse

/// How the opens of one file are answered. The kernel demands that they agree: while one of them is
/// passthrough all must be, with the same backing id, or they fail with EIO; and a passthrough open
/// fails while a cached one exists.
///
/// idle ──first open──▶ daemon          : direct for writers and beside them, otherwise cached
///      ──first open──▶ passthrough(id) : every further open carries the id, writers are direct too
/// both ──last RELEASE──▶ idle
///
/// The first open decides, and the decision stands until the last RELEASE. This has no races: the
/// kernel applies an answer some time after it was given, and takes it back before it sends
/// RELEASE, so an open counts here for longer than it does in the kernel; two opens that overlap in
/// the kernel overlap here, and were answered alike.
struct OpenMode {
    private var opens = 0
    private var writers = 0
    /// The kernel's number of the backing file while opens are passthrough.
    private(set) var backing: Int32?

    var isIdle: Bool { opens == 0 }

    /// Under which name the keeper holds the file for a successor, from the first open to the last
    /// RELEASE.
    private(set) var keptName: String?

    /// Names what the first open has the keeper hold; nil where another open did it already.
    mutating func keeps(as name: String) -> Bool {
        if keptName != nil { return false }
        keptName = name
        return true
    }

    /// What to answer OPEN with.
    struct Answer {
        let flags: UInt32
        let backing: Int32
    }

    /// Counts an open. `offered` is a backing id that may be used if this open is the first.
    mutating func join(writes: Bool, offered: Int32?) -> Answer {
        if opens == 0 { backing = writes ? nil : offered }
        opens += 1
        if writes { writers += 1 }
        return Answer(flags: flags(writes), backing: backing ?? 0)
    }

    /// Counts an open of a predecessor, as it was answered. Whether the passthrough begins with it.
    mutating func rejoin(writes: Bool, backing known: Int32, keptName: String?) -> Bool {
        let begins = known != 0 && backing == nil
        if begins { backing = known }
        opens += 1
        if writes { writers += 1 }
        if let keptName { self.keptName = keptName }
        return begins
    }

    /// Counts it out. What to give back where it was the last.
    mutating func leave(writes: Bool) -> (backing: Int32?, keptName: String?) {
        opens -= 1
        if writes { writers -= 1 }
        if opens > 0 { return (nil, nil) }
        return (backing.take(), keptName.take())
    }

    private func flags(_ writes: Bool) -> UInt32 {
        let passthrough = backing == nil ? 0 : CFUSE_OPEN_PASSTHROUGH
        let direct = UInt32(FOPEN_DIRECT_IO)
        if writes { return direct | UInt32(FOPEN_PARALLEL_DIRECT_WRITES) | passthrough }
        if passthrough != 0 { return passthrough }
        return writers > 0 ? direct : 0
    }
}
