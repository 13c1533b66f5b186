import MirrorCore
import MirrorImage
import MirrorTarget
package import SystemPackage

// Here both are seen: the shim, which forwards, and the twins that it forwards to.

extension Twin: ForwardTarget {
    var isLocal: Bool { descriptor != nil }

    package func write(_ data: UnsafeRawBufferPointer, at offset: UInt64) throws(Errno) {
        try write(data, at: offset, isBulk: false)
    }
}
