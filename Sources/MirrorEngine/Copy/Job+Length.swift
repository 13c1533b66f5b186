import Dispatch
import MirrorCore
import MirrorSystem
import Synchronization
import SystemPackage

extension Job {
    /// Gives the twin the image's size. Nothing is being copied, and nothing is taken until it is done.
    ///
    /// R2 for the length: the mark is cleared before the size is read. Marks past the end are forgotten,
    /// since the twin has nothing there any more; the size is then read again, and if the image has grown
    /// meanwhile what was forgotten too much is marked.
    func copyLength() {
        isClerkBusy = true
        table.takeLength()
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        clerk.async { [self] in
            let result = setTwinSize()
            queue.async { [self] in
                isClerkBusy = false
                if case .failure(let failure) = result {
                    _ = table.markLength()
                    fail(failure.side, failure.error)
                }
                advance()
            }
        }
    }

    private struct LengthFailure: Error {
        let side: JobMachine.Side
        let error: Errno
    }

    private func setTwinSize() -> Result<Void, LengthFailure> {
        let size: UInt64
        do throws(Errno) { size = try source.status().size } catch {
            return .failure(LengthFailure(side: .source, error: error))
        }
        do throws(Errno) { try twin.setSize(size) } catch {
            return .failure(LengthFailure(side: .target, error: error))
        }
        // A device keeps what was behind the old end.
        if twin.isDevice, size > knownLength { table.markUncounted(ByteRange(knownLength, size)) }
        knownLength = size
        let granule = UInt64(table.granularity.bytes)
        table.forgetAll(from: Int((size + granule - 1) / granule))
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        if let now = try? source.status().size, now > size {
            table.markUncounted(ByteRange(size, now))
            _ = table.markLength()
        }
        return .success(())
    }
}
