extension HeaderBytes {
    /// qcow2: a backing file (offset at byte 8, size at 16) or an external data file (incompatible
    /// feature bit 2). qcow 1 has its backing file at the same place. Big-endian.
    var qcow2: String? {
        guard has("QFI", at: 0), slice(3, 1)?.first == 0xfb else { return nil }
        if let name = backingFile { return "a qcow2 backing file \(name)" }
        if hasExternalData { return "a qcow2 external data file \(externalDataName)" }
        return nil
    }

    private var backingFile: String? {
        guard let offset = bigEndian(8, 8), offset != 0 else { return nil }
        // The specification allows 1023 bytes.
        let length = min(bigEndian(16, 4) ?? 0, 1023)
        let name = slice(offset, length) ?? []
        return name.isEmpty ? "whose name cannot be read" : NameText.shown(name)
    }

    private var hasExternalData: Bool {
        guard let version = bigEndian(4, 4), version >= 3 else { return false }
        return (bigEndian(72, 8) ?? 0) & 4 != 0
    }

    /// From the header extension 0x44415441 ("DATA"); extensions begin where the header ends (byte 100).
    private var externalDataName: String {
        var offset = bigEndian(100, 4) ?? 104
        while offset < UInt64(ImageHeader.bytesNeeded), let type = bigEndian(offset, 4), type != 0,
            let length = bigEndian(offset + 4, 4)
        {
            if type == 0x4441_5441, let name = slice(offset + 8, length) {
                return NameText.shown(name)
            }
            offset += 8 + (length + 7) & ~7
        }
        return "whose name cannot be read"
    }
}
