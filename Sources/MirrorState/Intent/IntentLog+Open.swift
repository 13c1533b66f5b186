import MirrorCore
import MirrorImage
import Synchronization
import SystemPackage

extension IntentLog {
    /// Reads what is there. What cannot be believed is set, and so is what a log that is too short
    /// lacks. Nil where the head is no head of this log, or the disk fails.
    ///
    /// What is read may have been written and not made durable by a process that died: it is,
    /// before anything relies on it.
    package convenience init?(opened id: String, _ store: any IntentStore, size: UInt64) {
        let block = IntentFormat.blockSize
        guard let content = try? store.content(), content.count >= block,
            Array(content[..<block]) == IntentFormat.head(id)
        else {
            store.close()
            return nil
        }
        do throws(Errno) {
            // Whoever made the file longer than any image can be.
            let there = min(content.count / block - IntentFormat.headBlocks, Self.mostBlocks)
            let blocks = max(there, IntentFormat.blocks(for: size))
            let beat = IntentFormat.opened(content.dropFirst(block).prefix(block))
            self.init(id, store, blocks: blocks, found: beat.flatMap { Heartbeat($0) })
            var repaired: [(Int, [UInt64])] = []
            for number in 0..<blocks {
                let start = Int(IntentFormat.offset(ofBlock: number))
                let bytes = content[min(start, content.count)..<min(start + block, content.count)]
                if let words = IntentFormat.words(bytes, number: number, of: id) {
                    adopt(number, words)
                } else {
                    let full = [UInt64](repeating: .max, count: IntentFormat.wordsPerBlock)
                    adopt(number, full)
                    repaired.append((number, full))
                }
            }
            for (number, words) in repaired {
                try store.write(
                    IntentFormat.block(number, words, of: id),
                    at: IntentFormat.offset(ofBlock: number))
            }
            try store.synchronize()
        } catch {
            // The store is closed with the object.
            return nil
        }
    }

    /// Of an image as long as can be tracked.
    static let mostBlocks = IntentFormat.blocks(for: DirtyTable.limit)

    private func adopt(_ number: Int, _ words: [UInt64]) {
        for (index, word) in words.enumerated() {
            bits.set(.durable, word, number * IntentFormat.wordsPerBlock + index)
        }
        setCount.add(words.reduce(0) { $0 + $1.nonzeroBitCount }, ordering: .relaxed)
    }
}
