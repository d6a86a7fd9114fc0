#include "mapped_file.h"

#if !defined(_WIN32)
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

#include <cerrno>
#include <cstring>
#include <string>

namespace afa {

namespace {

#if !defined(_WIN32)

struct Mapping {
  void* data;
  size_t bytes;
};

void unmap(Napi::Env, void*, Mapping* mapping) {
  munmap(mapping->data, mapping->bytes);
  delete mapping;
}

[[noreturn]] void failed(const std::string& path) {
  TORCH_CHECK(false, "Cannot map ", path, ": ", std::strerror(errno));
}

// An ArrayBuffer over the file's pages. It must be unmapped before the file can be expected to change: reading pages
// that a shrunken file no longer has ends the process.
Napi::Value mapFile(Napi::Env env, std::string path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) failed(path);
  struct stat status {};
  const bool known = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
  const auto bytes = static_cast<size_t>(known ? status.st_size : 0);
  // No pages, no mapping: the caller's own check of the contents says what is wrong with an empty file.
  void* data = bytes > 0 ? mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, fd, 0) : nullptr;
  const int error = errno;
  close(fd);
  errno = error;
  if (!known || data == MAP_FAILED) failed(path);
  if (!data) return Napi::ArrayBuffer::New(env, 0);
  madvise(data, bytes, MADV_SEQUENTIAL);
  return Napi::ArrayBuffer::New(env, data, bytes, unmap, new Mapping{data, bytes});
}

// Detaches the buffer, so that no view of it can be read afterwards; its pages go back when the event loop turns.
void unmapFile(Napi::Value buffer) { buffer.As<Napi::ArrayBuffer>().Detach(); }

#endif

}  // namespace

void registerMappedFile([[maybe_unused]] Exports& m) {
#if !defined(_WIN32)
  m.def("mapFile", {"path"}, mapFile);
  m.def("unmapFile", {"buffer"}, unmapFile);
#endif
}

}  // namespace afa
