/// A file that an image's header names.
public struct ImageReference: Hashable, Sendable {
    /// What the file is to the image that names it. The raw value is its word in messages.
    public enum Kind: String, CaseIterable, Sendable {
        case backingFile = "backing file"
        case dataFile = "external data file"
        case extent
        case parent
        case changeTracking = "change tracking file"
    }

    public let kind: Kind
    /// The name as it stands in the header, up to its first zero byte; never empty. UTF-16 of VHD
    /// and VHDX has become UTF-8, and their backslashes slashes.
    public let name: [UInt8]
    /// Whether the image opens without the file. One that it does not need is taken along where it
    /// can be.
    public let isRequired: Bool
    /// Whether the file may itself be an image that refers to others. What is used as plain sectors
    /// must not be looked into: a guest writes them, and could name any file there.
    public let mayRefer: Bool

    public init(
        _ kind: Kind, _ name: [UInt8], isRequired: Bool = true, mayRefer: Bool = true
    ) {
        self.kind = kind
        self.name = name
        self.isRequired = isRequired
        self.mayRefer = mayRefer
    }

    /// For a message: `backing file base.qcow2`. The name is harmless.
    public var shown: String { "\(kind.rawValue) \(NameText.shown(name))" }
}
