/** Reads what torch.save writes since PyTorch 1.6: a zip archive of one pickle and the storages it refers to. */
import type { CheckpointValue } from './checkpoint-value.js';
import { FileFormatError } from './file-error.js';
import { unpickle } from './pickle-reader.js';
import { type RandomAccessFile, withFile } from './random-access.js';
import { torchGlobals } from './torch-globals.js';
import { StorageClass, StoredBytes } from './torch-storage.js';
import { readZipDirectory, readZipEntry, refuseCompressed, type ZipEntry } from './zip-reader.js';

/** The pickled number that files of PyTorch before 1.6 begin with (torch.serialization.MAGIC_NUMBER). */
const LEGACY_START = Buffer.from('80028a0a6cfc9c46f9206aa85019', 'hex');

/**
 * Reads a checkpoint; tensors come contiguous, each with bytes of its own.
 * Nothing in the file is run: a pickle that refers to anything but tensors and plain containers is refused.
 * @throws FileFormatError for a damaged, truncated, big-endian, pre-1.6 or refused file; FileAccessError
 */
export function readCheckpoint(path: string): CheckpointValue {
  return withFile(path, (file) => {
    refuseOtherForms(file);
    const entries = archiveEntries(file);
    const pickled = entries.get('data.pkl');
    if (!pickled || entries.has('constants.pkl')) {
      throw new FileFormatError({
        path,
        expected: 'a checkpoint of torch.save',
        received: pickled ? 'a TorchScript archive' : 'a zip archive without data.pkl',
        remedy: 'In Python, save only the weights: torch.save(model.state_dict(), path).',
      });
    }
    refuseBigEndian(file, entries.get('byteorder'));
    return unpickle(readZipEntry(file, pickled), {
      source: path,
      globals: torchGlobals(file),
      persistentLoad: (id) => findStorage(path, entries, id),
    }) as CheckpointValue;
  });
}

/** Tells the known other kinds of file apart, so that the message can say what to do. */
function refuseOtherForms(file: RandomAccessFile): void {
  const start = Buffer.from(file.read(0, Math.min(file.size, LEGACY_START.length), 'its first bytes'));
  if (start.toString('latin1', 0, 2) === 'PK') return;
  const expected = 'a checkpoint of torch.save (PyTorch 1.6 or later)';
  if (start.equals(LEGACY_START)) {
    throw new FileFormatError({
      path: file.path,
      expected,
      received: 'the form that PyTorch before 1.6 wrote',
      remedy:
        "Save it again in Python: torch.save(torch.load(path, map_location='cpu', weights_only=True), path).",
    });
  }
  throw new FileFormatError({
    path: file.path,
    expected,
    received:
      start.length === 0
        ? 'an empty file'
        : `a file that begins with ${JSON.stringify(start.toString('latin1', 0, 8))}`,
    remedy: 'Check the path, or copy or create the file again.',
  });
}

/** Entries by their name within the archive's one folder, which PyTorch calls after the file. */
function archiveEntries(file: RandomAccessFile): Map<string, ZipEntry> {
  const entries = new Map<string, ZipEntry>();
  for (const [name, entry] of readZipDirectory(file)) entries.set(name.slice(name.indexOf('/') + 1), entry);
  return entries;
}

function refuseBigEndian(file: RandomAccessFile, entry: ZipEntry | undefined): void {
  // Files from before PyTorch 2.1 have no such entry; they come from little-endian machines.
  if (!entry) return;
  const order = Buffer.from(readZipEntry(file, entry)).toString('latin1');
  if (order === 'little') return;
  throw new FileFormatError({
    path: file.path,
    expected: 'a little-endian checkpoint',
    received: `byte order ${JSON.stringify(order.slice(0, 20))}`,
    remedy:
      "Save it again on a little-endian machine: torch.save(torch.load(path, map_location='cpu', weights_only=True), path).",
  });
}

/** A persistent id is ('storage', class, key, device, element count); the bytes lie in entry data/{key}. */
function findStorage(path: string, entries: ReadonlyMap<string, ZipEntry>, id: unknown): StoredBytes {
  const [tag, storageClass, key] = Array.isArray(id) ? id : [];
  const entry = entries.get(`data/${key}`);
  if (tag !== 'storage' || !(storageClass instanceof StorageClass) || !entry) {
    throw new FileFormatError({
      path,
      expected: 'a storage for every tensor',
      received: `none for key ${JSON.stringify(key)}`,
      remedy: 'The file is damaged: copy or create it again.',
    });
  }
  refuseCompressed(path, entry);
  return new StoredBytes(entry, storageClass.dtype);
}
