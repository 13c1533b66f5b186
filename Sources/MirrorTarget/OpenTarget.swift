import MirrorCore

/// An open target.
package struct OpenTarget: Sendable {
    package let store: any TwinStore
    /// Nil for a target that is no file.
    package let file: TwinFile?
    let ragged: RaggedBlocks

    /// Gives the target back: descriptors, locks.
    package func close() {
        file?.close()
        store.close()
    }
}
