/// A name in a directory, as a request carries it.
struct Entry {
    let parent: UInt64
    let name: UnsafePointer<CChar>

    init(_ parent: UInt64, _ name: UnsafePointer<CChar>) {
        self.parent = parent
        self.name = name
    }

    var bytes: [UInt8] { [UInt8](cString: name) }
}

extension [UInt8] {
    /// The bytes of a C string without its end.
    init(cString: UnsafePointer<CChar>) {
        var length = 0
        while cString[length] != 0 { length += 1 }
        self = UnsafeRawBufferPointer(start: cString, count: length).map { $0 }
    }

    /// Runs `body` with these bytes as a C string.
    func withCString<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result {
        (self + [0]).withUnsafeBytes { bytes in
            body(bytes.assumingMemoryBound(to: CChar.self).baseAddress!)
        }
    }
}
