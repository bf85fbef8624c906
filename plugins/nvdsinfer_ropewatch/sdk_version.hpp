// The version of the DeepStream that this process runs, asked of the SDK itself.

#pragma once

#include <dlfcn.h>
#include <link.h>

#include <string>
#include <vector>

namespace ropewatch {

struct SdkVersion {
  unsigned major, minor;
};

constexpr unsigned kFirstMajorWithRotation = 9;

// Bytes of one NvDsInferObjectDetectionInfo in that SDK.
inline unsigned detection_bytes_of(const SdkVersion& sdk) {
  return sdk.major >= kFirstMajorWithRotation ? 28 : 24;
}

inline std::vector<std::string> loaded_libraries() {
  std::vector<std::string> names;
  dl_iterate_phdr(
      [](dl_phdr_info* library, std::size_t, void* into) {
        static_cast<std::vector<std::string>*>(into)->emplace_back(library->dlpi_name);
        return 0;
      },
      &names);
  return names;
}

// False where no DeepStream is loaded. Every loaded library is asked, because GStreamer keeps its
// plugins' symbols local, and a lookup in the global scope would not see the SDK's.
inline bool find_sdk(SdkVersion& sdk) {
  for (const std::string& name : loaded_libraries()) {
    // The program itself has an empty name.
    void* library = dlopen(name.empty() ? nullptr : name.c_str(), RTLD_LAZY | RTLD_NOLOAD);
    if (library == nullptr) continue;
    const auto ask =
        reinterpret_cast<void (*)(unsigned*, unsigned*)>(dlsym(library, "nvds_version"));
    if (ask != nullptr) ask(&sdk.major, &sdk.minor);
    dlclose(library);
    if (ask != nullptr) return true;
  }
  return false;
}

}  // namespace ropewatch
