/// @file
/// filedb for C++17: filedb.h in the ways of the language. Header only; link with libfiledb as C programs do.
///
///     #include <filedb.hpp>
///     #include <iostream>
///
///     int main() {
///       auto db = filedbxx::Store::open("greetings");
///       db.put("hello", "world");
///       std::cout << db.get("hello").value_or("nothing") << '\n';
///       for (auto [key, value] : db.scan()) std::cout << key << " = " << value << '\n';
///     }
///
/// The namespace is not called filedb because that is a struct of filedb.h, whose names are fixed.
///
/// Handles close themselves and can be moved, not copied. What was moved from or closed holds nothing: its verbs answer with
/// FILEDB_ERR_INVALID_ARGUMENT, and it can be assigned to and destroyed. Bytes go in as std::string_view, and come out as std::string, or
/// as Pinned where they lie. That a key is absent or a condition not met is an answer: an empty optional, or false.
///
/// Each verb comes twice. `put` throws a filedbxx::Exception; `try_put` returns a Result, which holds a value or an Error, and
/// throws nothing (but std::bad_alloc, where strings are made). Without exceptions (-fno-exceptions) there are only the
/// latter. What the verbs promise, what they cost and which errors they know is said in filedb.h; the rules for threads
/// are those of the C handles.
#ifndef FILEDB_HPP
#define FILEDB_HPP

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "filedb.h"

#if defined(__cpp_exceptions) || defined(__EXCEPTIONS) || defined(_CPPUNWIND)
/// 1 where exceptions are on, and with them the verbs that throw; else 0.
#define FILEDB_EXCEPTIONS 1
#include <exception>
#else
#define FILEDB_EXCEPTIONS 0
#endif

/// filedb for C++17.
namespace filedbxx {

/// What times are given in.
using milliseconds = std::chrono::milliseconds;

// ---- Errors -----------------------------------------------------------------------------------------------------------

/// What went wrong, with all that the library knows about it.
class Error {
 public:
  /// An error with a sentence of the program's.
  Error(filedb_status_t code, std::string message) : code_(code), message_(std::move(message)) {}
  /// The error that the library told about.
  Error(filedb_status_t code, const filedb_error_t &said)
      : code_(code), os_errno_(said.os_errno), file_id_(said.file_id), offset_(said.offset),
        message_(said.message[0] != 0 ? said.message : filedb_strerror(code)) {}

  /// FILEDB_ERR_IO and the like.
  filedb_status_t code() const noexcept { return code_; }
  /// The operating system's error number where there is one, else 0.
  int os_errno() const noexcept { return os_errno_; }
  /// With FILEDB_ERR_CORRUPT: the number of the damaged data file.
  std::uint64_t file_id() const noexcept { return file_id_; }
  /// With FILEDB_ERR_CORRUPT: the place in it, in bytes.
  std::uint64_t offset() const noexcept { return offset_; }
  /// A sentence for people that names the file, the option or the number.
  const std::string &message() const noexcept { return message_; }

 private:
  filedb_status_t code_;
  int os_errno_ = 0;
  std::uint64_t file_id_ = 0, offset_ = 0;
  std::string message_;
};

#if FILEDB_EXCEPTIONS
/// What the verbs without try_ throw. Its what() is the error's message.
class Exception : public std::runtime_error {
 public:
  /// One that carries this error.
  explicit Exception(Error error) : std::runtime_error(error.message()), error_(std::move(error)) {}
  /// All that is known.
  const Error &error() const noexcept { return error_; }
  /// FILEDB_ERR_IO and the like.
  filedb_status_t code() const noexcept { return error_.code(); }

 private:
  Error error_;
};
#endif

namespace detail {

[[noreturn]] inline void misused(Error error) {
#if FILEDB_EXCEPTIONS
  throw Exception(std::move(error));
#else
  (void)error;
  std::abort();
#endif
}

}  // namespace detail

/// A value, or the error that kept it from being made. The names are those of C++23's std::expected.
template <class T>
class [[nodiscard]] Result {
 public:
  /// What it holds.
  using value_type = T;
  /// A value.
  Result(T value) : content_(std::in_place_index<0>, std::move(value)) {}
  /// An error.
  Result(Error error) : content_(std::in_place_index<1>, std::move(error)) {}

  /// Whether there is a value.
  bool has_value() const noexcept { return content_.index() == 0; }
  /// Whether there is a value.
  explicit operator bool() const noexcept { return has_value(); }

  /// @{
  /// The value. Where there is none, throws the error as an Exception; without exceptions, ends the program.
  T &value() & { return expect(), *std::get_if<0>(&content_); }
  const T &value() const & { return expect(), *std::get_if<0>(&content_); }
  T value() && { return expect(), std::move(*std::get_if<0>(&content_)); } // no reference: loops may be over it
  T &operator*() & { return value(); }
  const T &operator*() const & { return value(); }
  T operator*() && { return std::move(*this).value(); }
  T *operator->() { return &value(); }
  const T *operator->() const { return &value(); }
  /// @}
  /// The value, or this one where there is none.
  template <class U>
  T value_or(U &&otherwise) && {
    return has_value() ? std::move(*this).value() : static_cast<T>(std::forward<U>(otherwise));
  }

  /// The error. To be asked for only where there is no value.
  const Error &error() const { return *std::get_if<1>(&content_); }

 private:
  void expect() const {
    if (!has_value()) detail::misused(error());
  }
  std::variant<T, Error> content_;
};

/// Success, or an error.
template <>
class [[nodiscard]] Result<void> {
 public:
  /// What it holds: nothing.
  using value_type = void;
  /// Success.
  Result() = default;
  /// An error.
  Result(Error error) : error_(std::move(error)) {}
  /// Whether it is a success.
  bool has_value() const noexcept { return !error_; }
  /// Whether it is a success.
  explicit operator bool() const noexcept { return has_value(); }
  /// Where it is none, throws the error as an Exception; without exceptions, ends the program.
  void value() const {
    if (error_) detail::misused(*error_);
  }
  /// The error. To be asked for only where it is no success.
  const Error &error() const { return *error_; }

 private:
  std::optional<Error> error_;
};

// ---- Between C++ and C ------------------------------------------------------------------------------------------------

/// The bytes of an object that is nothing but bytes: db.put("origin", filedbxx::bytes_of(point)). They are in the order of this
/// machine, and its compiler's layout; Store::get_as() and object_of() read them back.
template <class T>
std::string_view bytes_of(const T &object) noexcept {
  static_assert(std::is_trivially_copyable_v<T> && !std::is_pointer_v<T>, "only plain bytes can be stored");
  return {reinterpret_cast<const char *>(&object), sizeof object};
}

/// The object that bytes_of() made these bytes of; nothing where they are not as many as a T has.
template <class T>
std::optional<T> object_of(std::string_view bytes) noexcept {
  static_assert(std::is_trivially_copyable_v<T> && !std::is_pointer_v<T>, "only plain bytes can be stored");
  static_assert(std::is_default_constructible_v<T>, "there has to be a T to copy the bytes to");
  if (bytes.size() != sizeof(T)) return std::nullopt;
  std::optional<T> object(std::in_place);
  std::memcpy(static_cast<void *>(&*object), bytes.data(), sizeof(T));
  return object;
}

namespace detail {

/// The caller's struct for errors. Only what the library reads is set: the message is 256 bytes.
struct Report {
  filedb_error_t said;
  Report() noexcept { said.struct_size = sizeof said; }
  Error error(filedb_status_t status) const { return Error(status, said); }
};

/// Success for what is not an error: R() where it is one.
template <class R>
Result<R> answer(filedb_status_t status, const Report &report, R value) {
  if (status < 0) return report.error(status);
  return Result<R>(std::move(value));
}

inline Result<void> answer(filedb_status_t status, const Report &report) {
  if (status < 0) return report.error(status);
  return {};
}

inline Error moved_from(const char *what) {
  return Error(FILEDB_ERR_INVALID_ARGUMENT, std::string("the ") + what + " was moved from, and holds nothing any more");
}

inline Error no_memory() { return Error(FILEDB_ERR_NO_MEMORY, filedb_strerror(FILEDB_ERR_NO_MEMORY)); }

/// C would take the text to end there.
inline bool has_nul(std::string_view text) noexcept { return text.find('\0') != text.npos; }
inline Error nul_in(const std::string &what) { return Error(FILEDB_ERR_INVALID_ARGUMENT, what + " has a NUL in it"); }

inline std::string_view view(const void *data, std::size_t size) noexcept {
  return size == 0 ? std::string_view() : std::string_view(static_cast<const char *>(data), size);
}

inline std::string_view view(filedb_slice_t slice) noexcept { return view(slice.data, slice.len); }

/// A handle that one object owns.
template <class Handle, void (*Free)(Handle *)>
class Owned {
 public:
  Owned() = default;
  explicit Owned(Handle *handle) noexcept : handle_(handle) {}
  Owned(Owned &&other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Owned &operator=(Owned &&other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Owned() {
    if (handle_ != nullptr) Free(handle_);
  }
  Handle *get() const noexcept { return handle_; }
  Handle *release() noexcept { return std::exchange(handle_, nullptr); }

 private:
  Handle *handle_ = nullptr;
};

inline void close_quietly(filedb_t *db) { filedb_close(db, nullptr); }
inline void free_slices(filedb_slice_t *slices) { filedb_free(slices); }

template <class Rep, class Period>
std::uint64_t count_ms(std::chrono::duration<Rep, Period> time) noexcept {
  // What is too long for a count of milliseconds is the longest that there is. Fractions stay in their own type, in which 0.1 s
  // are 100 ms; counts go to one that holds them all.
  using Wide = std::conditional_t<std::chrono::treat_as_floating_point_v<Rep>, Rep, long double>;
  const auto ms = std::ceil(std::chrono::duration<Wide, std::milli>(time).count());
  if (!(ms > 0)) return 0;
  constexpr auto most = std::numeric_limits<std::uint64_t>::max();
  return ms >= static_cast<Wide>(most) ? most : static_cast<std::uint64_t>(ms);
}

}  // namespace detail

/// The version of the library that is running, such as "0.1.0".
inline std::string_view version() noexcept { return filedb_version_string(); }
/// The same as 0xMMmmpp.
inline std::uint32_t version_number() noexcept { return filedb_version_number(); }

// ---- Options ----------------------------------------------------------------------------------------------------------

/// An option, as the library describes it.
struct OptionInfo {
  std::string_view name;    ///< What set() calls it.
  std::string_view values;  ///< What values it takes.
  std::string_view help;    ///< What it is for.
};

/// All options that a store can be opened with.
inline std::vector<OptionInfo> describe_options() {
  std::vector<OptionInfo> all;
  const char *name, *values, *help;
  while (filedb_options_describe(all.size(), &name, &values, &help) == FILEDB_OK) all.push_back({name, values, help});
  return all;
}

/// What the log is told: FILEDB_LOG_ERROR to FILEDB_LOG_DEBUG, and a sentence. From any thread, and from several at once;
/// it must not throw, and not call the store.
using Log = std::function<void(int level, std::string_view message)>;

/// The options to open a store with: Options().set("sync", "always").set("sync_interval_ms", 250ms).
///
/// A name or value that the library does not take is an error, which open() reports: so set() can be chained.
class Options {
 public:
  /// The defaults.
  Options() : handle_(filedb_options_new()) {
    if (handle_.get() == nullptr) failed_ = detail::no_memory();
  }
  /// The other has no options any more.
  Options(Options &&other) noexcept = default;
  /// Both change places.
  Options &operator=(Options &&other) noexcept {
    handle_ = std::move(other.handle_);
    failed_.swap(other.failed_);
    log_.swap(other.log_);
    return *this;
  }

  /// @{
  /// Sets the option `name`: text as filedb_options_set() takes it, a number, a bool, or a time.
  Options &set(std::string_view name, std::string_view value) & {
    if (error()) return *this;
    if (detail::has_nul(name) || detail::has_nul(value)) {
      failed_ = detail::nul_in("an option");
      return *this;
    }
    detail::Report report;
    const std::string name_text(name), value_text(value);
    const auto status = filedb_options_set(handle_.get(), name_text.c_str(), value_text.c_str(), &report.said);
    if (status < 0) failed_ = report.error(status);
    return *this;
  }
  Options &set(std::string_view name, const char *value) & { return set(name, std::string_view(value)); }
  template <class Number, std::enable_if_t<std::is_arithmetic_v<Number>, int> = 0>
  Options &set(std::string_view name, Number value) & {
    if constexpr (std::is_same_v<Number, bool>) {
      return set(name, value ? "true" : "false");
    } else {
      return set(name, std::string_view(std::to_string(value)));
    }
  }
  template <class Rep, class Period>
  Options &set(std::string_view name, std::chrono::duration<Rep, Period> value) & {
    return set(name, std::string_view(std::to_string(detail::count_ms(value)) + "ms"));
  }
  template <class Value>
  Options &&set(std::string_view name, const Value &value) && {
    return std::move(set(name, value));
  }
  /// @}

  /// @{
  /// Has the events of the stores that are opened with these options reported, up to the level of the option log_level.
  Options &set_log(Log log) & {
    if (error()) return *this;
    auto kept = log ? std::make_shared<Log>(std::move(log)) : nullptr;
    const auto call = [](void *ctx, std::int32_t level, const char *message, std::size_t size) noexcept {
      (*static_cast<const Log *>(ctx))(level, std::string_view(message, size));
    };
    detail::Report report;
    const auto status =
        filedb_options_set_log(handle_.get(), kept ? +call : nullptr, kept.get(), &report.said);
    if (status < 0) {
      failed_ = report.error(status);
    } else {
      log_ = std::move(kept);
    }
    return *this;
  }
  Options &&set_log(Log log) && { return std::move(set_log(std::move(log))); }
  /// @}

  /// The value of an option, in the form that set() takes.
  Result<std::string> try_get(std::string_view name) const {
    if (error()) return *error();
    if (detail::has_nul(name)) return detail::nul_in("an option");
    const std::string text(name);
    std::string value(64, '\0');
    for (;;) {
      detail::Report report;
      std::size_t size = 0;
      const auto status =
          filedb_options_get(handle_.get(), text.c_str(), value.data(), value.size() + 1, &size, &report.said);
      if (status < 0 && status != FILEDB_ERR_BUFFER_TOO_SMALL) return report.error(status);
      value.resize(size);
      if (status == FILEDB_OK) return value;
    }
  }
#if FILEDB_EXCEPTIONS
  /// As try_get(), which says the rest; throws.
  std::string get(std::string_view name) const { return try_get(name).value(); }
#endif

  /// The error of the first set() that failed; or the one of options that were moved from, which no longer say what a store
  /// is to be opened with.
  const std::optional<Error> &error() const {
    static const std::optional<Error> moved = detail::moved_from("object of options");
    return handle_.get() == nullptr && !failed_ ? moved : failed_;
  }
  /// For calls of the C API.
  const filedb_options_t *handle() const noexcept { return handle_.get(); }
  /// What set_log() was given, if it was called.
  const std::shared_ptr<Log> &log() const noexcept { return log_; }

 private:
  detail::Owned<filedb_options_t, filedb_options_free> handle_;
  std::optional<Error> failed_;
  std::shared_ptr<Log> log_;
};

// ---- Values that are not copied ---------------------------------------------------------------------------------------

/// A value where it lies, for as long as this lives: also when its key changes and when the store is closed. The data file
/// that holds it keeps its room on the disk meanwhile.
class Pinned {
 public:
  /// Nothing.
  Pinned() noexcept : pinned_{nullptr, 0, nullptr} {}
  /// Takes over what the C API pinned.
  explicit Pinned(filedb_pinned_t pinned) noexcept : pinned_(pinned) {}
  /// Leaves nothing behind in `other`.
  Pinned(Pinned &&other) noexcept : pinned_(std::exchange(other.pinned_, filedb_pinned_t{nullptr, 0, nullptr})) {}
  /// Swaps both; `other` unpins what was here.
  Pinned &operator=(Pinned &&other) noexcept {
    std::swap(pinned_, other.pinned_);
    return *this;
  }
  ~Pinned() { filedb_unpin(&pinned_); }

  /// The bytes.
  std::string_view view() const noexcept { return detail::view(pinned_.data, pinned_.len); }
  /// The bytes.
  operator std::string_view() const noexcept { return view(); }
  /// The first byte.
  const char *data() const noexcept { return view().data(); }
  /// How many there are.
  std::size_t size() const noexcept { return pinned_.len; }

 private:
  filedb_pinned_t pinned_;
};

// ---- Writes that say more ---------------------------------------------------------------------------------------------

/// More to say about a write: PutOptions().if_absent().expires_in(15min).
class PutOptions {
 public:
  /// Write only if there is no such key.
  PutOptions &if_absent() noexcept { return flag(FILEDB_PUT_IF_ABSENT); }
  /// Write only if there is such a key.
  PutOptions &if_present() noexcept { return flag(FILEDB_PUT_IF_PRESENT); }
  /// Return when the write is durable, whatever the option sync says.
  PutOptions &sync() noexcept { return flag(FILEDB_PUT_SYNC); }
  /// Let the key keep the expiry that it has.
  PutOptions &keep_ttl() noexcept { return flag(FILEDB_PUT_KEEP_TTL); }
  /// The key expires so long from now, but for at least a millisecond it is there.
  template <class Rep, class Period>
  PutOptions &expires_in(std::chrono::duration<Rep, Period> time) noexcept {
    options_.ttl_ms = std::max<std::uint64_t>(1, detail::count_ms(time));
    return *this;
  }
  /// For calls of the C API.
  const filedb_put_options_t *options() const noexcept { return &options_; }

 private:
  PutOptions &flag(std::uint32_t bit) noexcept { return options_.flags |= bit, *this; }
  filedb_put_options_t options_ = FILEDB_PUT_OPTIONS_INIT;
};

// ---- Keys, batches, walks ---------------------------------------------------------------------------------------------

/// Keys as they were at one moment, in one block of memory: a range of std::string_view.
class Keys {
 public:
  /// An iterator over std::string_view: random access as C++20 sees it. To C++17, whose algorithms want references, it is an
  /// input iterator that can be copied.
  class iterator {
   public:
    using iterator_concept = std::random_access_iterator_tag;
    using iterator_category = std::input_iterator_tag;
    using value_type = std::string_view;
    using difference_type = std::ptrdiff_t;
    using pointer = void;
    using reference = std::string_view;
    iterator() = default;
    explicit iterator(const filedb_slice_t *at) noexcept : at_(at) {}
    std::string_view operator*() const noexcept { return detail::view(*at_); }
    iterator &operator++() noexcept { return ++at_, *this; }
    iterator operator++(int) noexcept { return iterator(at_++); }
    iterator &operator--() noexcept { return --at_, *this; }
    iterator operator--(int) noexcept { return iterator(at_--); }
    iterator &operator+=(difference_type n) noexcept { return at_ += n, *this; }
    iterator &operator-=(difference_type n) noexcept { return at_ -= n, *this; }
    std::string_view operator[](difference_type n) const noexcept { return detail::view(at_[n]); }
    friend iterator operator+(iterator i, difference_type n) noexcept { return iterator(i.at_ + n); }
    friend iterator operator+(difference_type n, iterator i) noexcept { return iterator(i.at_ + n); }
    friend iterator operator-(iterator i, difference_type n) noexcept { return iterator(i.at_ - n); }
    friend difference_type operator-(iterator a, iterator b) noexcept { return a.at_ - b.at_; }
    friend bool operator==(iterator a, iterator b) noexcept { return a.at_ == b.at_; }
    friend bool operator!=(iterator a, iterator b) noexcept { return a.at_ != b.at_; }
    friend bool operator<(iterator a, iterator b) noexcept { return a.at_ < b.at_; }
    friend bool operator>(iterator a, iterator b) noexcept { return a.at_ > b.at_; }
    friend bool operator<=(iterator a, iterator b) noexcept { return a.at_ <= b.at_; }
    friend bool operator>=(iterator a, iterator b) noexcept { return a.at_ >= b.at_; }

   private:
    const filedb_slice_t *at_ = nullptr;
  };

  /// Takes over what filedb_list() handed out.
  Keys(filedb_slice_t *keys, std::size_t size) noexcept : keys_(keys), size_(size) {}
  /// One that was moved from has no keys, or those that were here.
  Keys(Keys &&other) noexcept : keys_(std::move(other.keys_)), size_(std::exchange(other.size_, 0)) {}
  /// As above.
  Keys &operator=(Keys &&other) noexcept {
    keys_ = std::move(other.keys_);
    std::swap(size_, other.size_);
    return *this;
  }
  /// How many there are.
  std::size_t size() const noexcept { return size_; }
  /// Whether there are none.
  bool empty() const noexcept { return size_ == 0; }
  /// Number `i`, which is less than size().
  std::string_view operator[](std::size_t i) const noexcept { return detail::view(keys_.get()[i]); }
  /// The first.
  iterator begin() const noexcept { return iterator(keys_.get()); }
  /// Behind the last.
  iterator end() const noexcept { return iterator(keys_.get() + size_); }

 private:
  detail::Owned<filedb_slice_t, detail::free_slices> keys_;
  std::size_t size_;
};

/// Writes that are collected in memory, to happen all or not at all. It belongs to no store, and can be written any number
/// of times.
class Batch {
 public:
  /// An empty one.
  Batch() : handle_(filedb_batch_new()), has_no_memory_(handle_.get() == nullptr) {}

  /// Adds a put; both are copied.
  Result<void> try_put(std::string_view key, std::string_view value) {
    if (handle_.get() == nullptr) return missing();
    detail::Report report;
    return detail::answer(
        filedb_batch_put(handle_.get(), key.data(), key.size(), value.data(), value.size(), &report.said), report);
  }
  /// Adds a put of a key that expires expires_in() after the batch is written. A batch has no conditions: what else the
  /// options say is FILEDB_ERR_UNSUPPORTED.
  Result<void> try_put(std::string_view key, std::string_view value, const PutOptions &more) {
    if (handle_.get() == nullptr) return missing();
    detail::Report report;
    const auto status = filedb_batch_put_with(handle_.get(), key.data(), key.size(), value.data(), value.size(),
                                              more.options(), &report.said);
    return detail::answer(status, report);
  }
  /// Adds a delete of a key, which need not exist when the batch is written.
  Result<void> try_erase(std::string_view key) {
    if (handle_.get() == nullptr) return missing();
    detail::Report report;
    return detail::answer(filedb_batch_delete(handle_.get(), key.data(), key.size(), &report.said), report);
  }
  /// Adds a push behind the last element of a list.
  Result<void> try_push_back(std::string_view key, std::string_view value) {
    if (handle_.get() == nullptr) return missing();
    detail::Report report;
    const auto status =
        filedb_batch_push_back(handle_.get(), key.data(), key.size(), value.data(), value.size(), &report.said);
    return detail::answer(status, report);
  }
  /// Adds a push in front of the first element of a list.
  Result<void> try_push_front(std::string_view key, std::string_view value) {
    if (handle_.get() == nullptr) return missing();
    detail::Report report;
    const auto status =
        filedb_batch_push_front(handle_.get(), key.data(), key.size(), value.data(), value.size(), &report.said);
    return detail::answer(status, report);
  }
  /// Empties it.
  void clear() noexcept { filedb_batch_clear(handle_.get()); }
#if FILEDB_EXCEPTIONS
  /// As try_put(); throws.
  Batch &put(std::string_view key, std::string_view value) { return try_put(key, value).value(), *this; }
  /// As try_put(); throws.
  Batch &put(std::string_view key, std::string_view value, const PutOptions &more) {
    return try_put(key, value, more).value(), *this;
  }
  /// As try_erase(); throws.
  Batch &erase(std::string_view key) { return try_erase(key).value(), *this; }
  /// As try_push_back(); throws.
  Batch &push_back(std::string_view key, std::string_view value) { return try_push_back(key, value).value(), *this; }
  /// As try_push_front(); throws.
  Batch &push_front(std::string_view key, std::string_view value) { return try_push_front(key, value).value(), *this; }
#endif
  /// For calls of the C API; NULL where there was no memory, and after a move.
  const filedb_batch_t *handle() const noexcept { return handle_.get(); }
  /// Why handle() is NULL, where it is.
  Error missing() const { return has_no_memory_ ? detail::no_memory() : detail::moved_from("batch"); }

 private:
  detail::Owned<filedb_batch_t, filedb_batch_free> handle_;
  bool has_no_memory_;
};

/// The keys between two bounds, compared by their bytes; nothing is no bound.
struct Range {
  std::optional<std::string_view> from = std::nullopt;  ///< The first key.
  std::optional<std::string_view> to = std::nullopt;    ///< The key behind the last.
  bool from_excluded = false;                           ///< `from` is not in the range.
  bool to_included = false;                             ///< `to` is in the range.
  bool reverse = false;                                 ///< A walk begins with the last key.

  /// For calls of the C API, as long as the keys are there.
  filedb_range_t in_c() const noexcept {
    const auto slice = [](const std::optional<std::string_view> &key) {
      if (!key) return filedb_slice_t{nullptr, 0};
      return filedb_slice_t{key->empty() ? "" : key->data(), key->size()};
    };
    filedb_range_t range = FILEDB_RANGE_INIT;
    range.flags = (from_excluded ? FILEDB_RANGE_FROM_EXCLUDED : 0u) | (to_included ? FILEDB_RANGE_TO_INCLUDED : 0u) |
                  (reverse ? FILEDB_RANGE_REVERSE : 0u);
    range.from = slice(from);
    range.to = slice(to);
    return range;
  }
};

/// A row of a walk. The bytes are the library's, until the walk goes on.
struct Entry {
  std::string_view key;    ///< Its key.
  std::string_view value;  ///< Its value.
};

/// A walk through the rows of a store as they were when it began: in key order where the store keeps one, else in none.
///
///   for (auto [key, value] : db.scan("user/")) ...
///
/// It is an input range: with C++20, db.scan() | std::views::filter(...) | std::views::take(10).
///
/// A damaged record throws in the middle of such a loop. Without exceptions the loop ends there, and result() says why;
/// after FILEDB_ERR_CORRUPT another loop goes on behind it.
class Iterator {
 public:
  /// An input iterator over Entry.
  class iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = Entry;
    using difference_type = std::ptrdiff_t;
    using pointer = const Entry *;
    using reference = const Entry &;
    iterator() = default;
    explicit iterator(Iterator *walk) : walk_(walk) { ++*this; }
    const Entry &operator*() const noexcept { return row_; }
    const Entry *operator->() const noexcept { return &row_; }
    iterator &operator++() {
      const auto row = walk_->step();
      if (row) row_ = *row;
      else walk_ = nullptr;
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const iterator &a, const iterator &b) noexcept { return a.walk_ == b.walk_; }
    friend bool operator!=(const iterator &a, const iterator &b) noexcept { return a.walk_ != b.walk_; }

   private:
    Iterator *walk_ = nullptr;
    Entry row_;
  };

  /// Takes over an iterator of the C API.
  explicit Iterator(filedb_iter_t *handle) noexcept : handle_(handle) {}

  /// What the key of the last row holds: FILEDB_TYPE_...; nothing before the first. For a list the value of the row is empty.
  Result<std::optional<filedb_type_t>> try_type() const {
    detail::Report report;
    filedb_type_t type = 0;
    const auto status = filedb_iter_type(handle_.get(), &type, &report.said);
    if (status != FILEDB_OK) return detail::answer(status, report, std::optional<filedb_type_t>());
    return std::optional<filedb_type_t>(type);
  }

  /// The next row; nothing behind the last.
  Result<std::optional<Entry>> try_next() {
    detail::Report report;
    filedb_slice_t key, value;
    const auto status = filedb_iter_next(handle_.get(), &key, &value, &report.said);
    if (status == FILEDB_OK) return std::optional<Entry>(Entry{detail::view(key), detail::view(value)});
    return detail::answer(status, report, std::optional<Entry>());
  }

  /// The next row becomes that of the first key of the walk that is not before `key`; in a walk that runs backwards, of the
  /// last that is not behind it.
  Result<void> try_seek(std::string_view key) {
    detail::Report report;
    return detail::answer(filedb_iter_seek(handle_.get(), key.data(), key.size(), &report.said), report);
  }

  /// Up to `most` rows at once, in `rows`, good together until the next step. False when nothing comes after them.
  Result<bool> try_next_batch(std::vector<Entry> &rows, std::size_t most = 256) {
    keys_.resize(most);
    values_.resize(most);
    detail::Report report;
    filedb_status_t status = FILEDB_OK;
    const auto count =
        filedb_iter_next_batch(handle_.get(), keys_.data(), values_.data(), most, &status, &report.said);
    rows.clear();
    for (std::size_t i = 0; i < count; i++) rows.push_back({detail::view(keys_[i]), detail::view(values_[i])});
    return detail::answer(status, report, status == FILEDB_OK);
  }

  /// How the last loop over this walk ended.
  const Result<void> &result() const noexcept { return result_; }
  /// The row that comes next: a loop goes on where the last one stopped.
  iterator begin() { return iterator(this); }
  /// Behind the last row.
  iterator end() { return iterator(); }
#if FILEDB_EXCEPTIONS
  /// As try_next(); throws.
  std::optional<Entry> next() { return try_next().value(); }
  /// As try_seek(); throws.
  void seek(std::string_view key) { try_seek(key).value(); }
  /// As try_next_batch(); throws.
  bool next_batch(std::vector<Entry> &rows, std::size_t most = 256) { return try_next_batch(rows, most).value(); }
#endif

 private:
  std::optional<Entry> step() {
    auto row = try_next();
    if (row) {
      result_ = Result<void>();
      return *row;
    }
    result_ = row.error();
#if FILEDB_EXCEPTIONS
    result_.value();
#endif
    return std::nullopt;
  }

  detail::Owned<filedb_iter_t, filedb_iter_free> handle_;
  std::vector<filedb_slice_t> keys_, values_;
  Result<void> result_;
};

/// Somebody's way through the changes of a store. What is shown, and what that promises, is said in filedb.h.
///
///   auto changes = db.changes(db.last_seq());
///   for (filedb_change_t change; changes.next(change) == FILEDB_OK;) apply(change);
class Changes {
 public:
  /// Takes over a handle of the C API.
  explicit Changes(filedb_changes_t *handle) noexcept : handle_(handle) {}

  /// Stores the next change; its bytes are the library's, until the next call. FILEDB_OK, FILEDB_TIMEOUT where nothing
  /// changed in that time, or FILEDB_GAP, after which nothing comes. Waits for ever where the time is negative.
  Result<filedb_status_t> try_next(filedb_change_t &change, milliseconds timeout = milliseconds(-1)) {
    detail::Report report;
    change = FILEDB_CHANGE_INIT;
    const auto status = filedb_changes_next(handle_.get(), timeout.count(), &change, &report.said);
    return detail::answer(status, report, status);
  }
#if FILEDB_EXCEPTIONS
  /// As try_next(); throws.
  filedb_status_t next(filedb_change_t &change, milliseconds timeout = milliseconds(-1)) {
    return try_next(change, timeout).value();
  }
#endif

 private:
  detail::Owned<filedb_changes_t, filedb_changes_free> handle_;
};

// ---- A store ----------------------------------------------------------------------------------------------------------

/// What ttl() says of a key that does not expire.
inline constexpr milliseconds no_expiry = milliseconds::max();

/// An open store.
class Store {
 public:
  /// The other is as if it had been closed.
  Store(Store &&other) noexcept = default;
  /// Both change places: the store that was here is closed with the other object, and tells its own log until then.
  Store &operator=(Store &&other) noexcept {
    log_.swap(other.log_);
    handle_ = std::move(other.handle_);
    return *this;
  }

  /// Opens the store in the directory `path`, and creates it unless the option create_if_missing is false.
  static Result<Store> try_open(std::string_view path, const Options &options = Options()) {
    if (options.error()) return *options.error();
    if (detail::has_nul(path)) return detail::nul_in("the path");
    detail::Report report;
    filedb_t *db = nullptr;
    const auto status = filedb_open(std::string(path).c_str(), options.handle(), &db, &report.said);
    if (status < 0) return report.error(status);
    return Store(db, options.log());
  }

  /// As above, for a path that is a std::filesystem::path.
  template <class Path, std::enable_if_t<std::is_same_v<Path, std::filesystem::path>, int> = 0>
  static Result<Store> try_open(const Path &path, const Options &options = Options()) {
    return try_open(std::string_view(path.native()), options);
  }

  /// Makes everything durable and ends the store, whatever it returns. The destructor does so too, and tells nobody.
  Result<void> try_close() {
    detail::Report report;
    return detail::answer(filedb_close(handle_.release(), &report.said), report);
  }

  /// Stores `value` under `key`; both are copied.
  Result<void> try_put(std::string_view key, std::string_view value) {
    detail::Report report;
    return detail::answer(
        filedb_put(handle(), key.data(), key.size(), value.data(), value.size(), &report.said), report);
  }

  /// False where a condition is not met; nothing was written then.
  Result<bool> try_put(std::string_view key, std::string_view value, const PutOptions &more) {
    detail::Report report;
    const auto status = filedb_put_with(handle(), key.data(), key.size(), value.data(), value.size(), more.options(),
                                        &report.said);
    return detail::answer(status, report, status == FILEDB_OK);
  }

  /// False where there was no such key.
  Result<bool> try_erase(std::string_view key) {
    detail::Report report;
    const auto status = filedb_delete(handle(), key.data(), key.size(), &report.said);
    return detail::answer(status, report, status == FILEDB_OK);
  }

  /// A copy of the value; nothing where there is no such key.
  Result<std::optional<std::string>> try_get(std::string_view key) const {
    detail::Report report;
    void *value = nullptr;
    std::size_t size = 0;
    const auto status = filedb_get(handle(), key.data(), key.size(), &value, &size, &report.said);
    if (status != FILEDB_OK) return detail::answer(status, report, std::optional<std::string>());
    const detail::Owned<void, filedb_free> owned(value);
    return std::optional<std::string>(std::in_place, static_cast<const char *>(value), size);
  }

  /// Reads the value into memory of the caller's, and returns its size; nothing where there is no such key. Where the memory
  /// is too small it stays as it is, and the size is more than `capacity`.
  Result<std::optional<std::size_t>> try_get_into(std::string_view key, void *buffer, std::size_t capacity) const {
    detail::Report report;
    std::size_t size = 0;
    const auto status = filedb_get_into(handle(), key.data(), key.size(), buffer, capacity, &size, &report.said);
    if (status == FILEDB_OK || status == FILEDB_ERR_BUFFER_TOO_SMALL) return std::optional<std::size_t>(size);
    return detail::answer(status, report, std::optional<std::size_t>());
  }

  /// The value as the object that bytes_of() made it of; nothing where there is no such key. A value of another size than T's
  /// is FILEDB_ERR_INVALID_ARGUMENT.
  template <class T>
  Result<std::optional<T>> try_get_as(std::string_view key) const {
    static_assert(std::is_trivially_copyable_v<T> && !std::is_pointer_v<T>, "only plain bytes can be stored");
    std::array<char, sizeof(T)> bytes;
    const auto size = try_get_into(key, bytes.data(), bytes.size());
    if (!size) return size.error();
    if (!*size) return std::optional<T>();
    if (**size == bytes.size()) return object_of<T>({bytes.data(), bytes.size()});
    return Error(FILEDB_ERR_INVALID_ARGUMENT, "the value has " + std::to_string(**size) + " bytes, the object that it is to be read as has " +
                                                  std::to_string(bytes.size()));
  }

  /// The value where it lies, without a copy.
  Result<std::optional<Pinned>> try_get_pinned(std::string_view key) const {
    detail::Report report;
    filedb_pinned_t pinned;
    const auto status = filedb_get_pinned(handle(), key.data(), key.size(), &pinned, &report.said);
    if (status == FILEDB_OK) return std::optional<Pinned>(Pinned(pinned));
    return detail::answer(status, report, std::optional<Pinned>());
  }

  /// @{
  /// The values of many keys, several times faster than one by one. `keys` is any range of what is a std::string_view.
  template <class Range>
  Result<std::vector<std::optional<Pinned>>> try_get_many(const Range &keys) const {
    std::vector<filedb_slice_t> slices;
    for (std::string_view key : keys) slices.push_back({key.data(), key.size()});
    std::vector<filedb_pinned_t> pins(slices.size());
    std::vector<filedb_status_t> statuses(slices.size());
    std::vector<std::optional<Pinned>> values(slices.size());  // before anything is pinned: it may throw
    detail::Report report;
    const auto status = filedb_get_many(handle(), slices.data(), slices.size(), pins.data(), statuses.data(), &report.said);
    for (std::size_t i = 0; i < pins.size(); i++) {
      if (statuses[i] == FILEDB_OK) values[i].emplace(pins[i]);
    }
    return detail::answer(status, report, std::move(values));
  }
  template <class Text>
  Result<std::vector<std::optional<Pinned>>> try_get_many(std::initializer_list<Text> keys) const {
    return try_get_many<std::initializer_list<Text>>(keys);
  }
  /// @}

  /// What the store can do: FILEDB_CAN_..., or-ed. What it cannot do answers FILEDB_ERR_UNSUPPORTED.
  Result<std::uint64_t> try_capabilities() const {
    detail::Report report;
    std::uint64_t can = 0;
    const auto status = filedb_capabilities(handle(), &can, &report.said);
    return detail::answer(status, report, can);
  }

  /// What a key holds: FILEDB_TYPE_...; nothing where there is no such key.
  Result<std::optional<filedb_type_t>> try_type(std::string_view key) const {
    detail::Report report;
    filedb_type_t type = 0;
    const auto status = filedb_type(handle(), key.data(), key.size(), &type, &report.said);
    if (status != FILEDB_OK) return detail::answer(status, report, std::optional<filedb_type_t>());
    return std::optional<filedb_type_t>(type);
  }

  /// Adds a value behind the last element of a list, which is made where there is none: the new length.
  Result<std::uint64_t> try_push_back(std::string_view key, std::string_view value) {
    detail::Report report;
    std::uint64_t length = 0;
    const auto status =
        filedb_push_back(handle(), key.data(), key.size(), value.data(), value.size(), &length, &report.said);
    return detail::answer(status, report, length);
  }
  /// Adds a value in front of the first element of a list, which is made where there is none: the new length.
  Result<std::uint64_t> try_push_front(std::string_view key, std::string_view value) {
    detail::Report report;
    std::uint64_t length = 0;
    const auto status =
        filedb_push_front(handle(), key.data(), key.size(), value.data(), value.size(), &length, &report.said);
    return detail::answer(status, report, length);
  }
  /// Takes the last element of a list out; nothing where there is no list.
  Result<std::optional<std::string>> try_pop_back(std::string_view key) {
    detail::Report report;
    void *value = nullptr;
    std::size_t size = 0;
    const auto status = filedb_pop_back(handle(), key.data(), key.size(), &value, &size, &report.said);
    return taken(status, report, value, size);
  }
  /// Takes the first element of a list out; nothing where there is no list.
  Result<std::optional<std::string>> try_pop_front(std::string_view key) {
    detail::Report report;
    void *value = nullptr;
    std::size_t size = 0;
    const auto status = filedb_pop_front(handle(), key.data(), key.size(), &value, &size, &report.said);
    return taken(status, report, value, size);
  }
  /// Takes the first element of one list out and adds it behind the last of another, in one step: the element; nothing where there is
  /// no list `from`. FILEDB_MOVE_FROM_BACK and FILEDB_MOVE_TO_FRONT say other ends.
  Result<std::optional<std::string>> try_list_move(std::string_view from, std::string_view to, std::uint32_t flags = 0) {
    detail::Report report;
    void *value = nullptr;
    std::size_t size = 0;
    const auto status =
        filedb_list_move(handle(), from.data(), from.size(), to.data(), to.size(), flags, &value, &size, &report.said);
    return taken(status, report, value, size);
  }
  /// The number of elements of a list; nothing where there is no list.
  Result<std::optional<std::uint64_t>> try_list_size(std::string_view key) const {
    detail::Report report;
    std::uint64_t length = 0;
    const auto status = filedb_list_length(handle(), key.data(), key.size(), &length, &report.said);
    if (status != FILEDB_OK) return detail::answer(status, report, std::optional<std::uint64_t>());
    return std::optional<std::uint64_t>(length);
  }
  /// An element of a list, counted from the end where `index` is negative; nothing where there is none.
  Result<std::optional<std::string>> try_list_get(std::string_view key, std::int64_t index) const {
    detail::Report report;
    void *value = nullptr;
    std::size_t size = 0;
    const auto status = filedb_list_get(handle(), key.data(), key.size(), index, &value, &size, &report.said);
    return taken(status, report, value, size);
  }
  /// Replaces an element of a list. False where there is none.
  Result<bool> try_list_set(std::string_view key, std::int64_t index, std::string_view value) {
    detail::Report report;
    const auto status =
        filedb_list_set(handle(), key.data(), key.size(), index, value.data(), value.size(), &report.said);
    return detail::answer(status, report, status == FILEDB_OK);
  }
  /// The elements of a list from `first` to `last`, both included; none where there is no list.
  Result<Keys> try_list_range(std::string_view key, std::int64_t first, std::int64_t last) const {
    detail::Report report;
    filedb_slice_t *values = nullptr;
    std::size_t count = 0;
    const auto status =
        filedb_list_range(handle(), key.data(), key.size(), first, last, &values, &count, &report.said);
    return detail::answer(status, report, Keys(values, count));
  }
  /// Removes a key and gives its value, in one step; nothing where there is no such key.
  Result<std::optional<std::string>> try_get_erase(std::string_view key) {
    detail::Report report;
    void *value = nullptr;
    std::size_t size = 0;
    const auto status = filedb_get_delete(handle(), key.data(), key.size(), &value, &size, &report.said);
    return taken(status, report, value, size);
  }
  /// Gives the key the value `desired`, or removes it where that is nothing, if it holds `expected`, or nothing; in one step.
  /// False where it holds something else.
  Result<bool> try_compare_and_swap(std::string_view key, std::optional<std::string_view> expected,
                                    std::optional<std::string_view> desired) {
    detail::Report report;
    const auto slice = [](const std::optional<std::string_view> &value) {
      return filedb_slice_t{value ? value->data() : nullptr, value ? value->size() : 0};
    };
    const auto before = slice(expected), after = slice(desired);
    const auto status = filedb_compare_and_swap(handle(), key.data(), key.size(), expected ? &before : nullptr,
                                                desired ? &after : nullptr, &report.said);
    return detail::answer(status, report, status == FILEDB_OK);
  }
  /// Adds to the number that the key holds as decimal text, 0 where there is none, in one step: the sum.
  Result<std::int64_t> try_increment(std::string_view key, std::int64_t by = 1) {
    detail::Report report;
    std::int64_t sum = 0;
    const auto status = filedb_increment(handle(), key.data(), key.size(), by, &sum, &report.said);
    return detail::answer(status, report, sum);
  }

  /// Shows what the key has to `change`, nothing where there is no such key, and stores what that returns, or removes the key where that
  /// is nothing; in one step. `change` takes a std::optional<std::string_view>, returns a std::optional<std::string>, and is called again
  /// where another write came between; where it throws nothing is changed. The new value, or nothing where the key was removed.
  template <class Change>
  Result<std::optional<std::string>> try_update(std::string_view key, Change &&change) {
    while (true) {
      auto had = try_get(key);
      if (!had) return had.error();
      const auto &before = *had;
      std::optional<std::string> after = change(before ? std::optional<std::string_view>(*before) : std::nullopt);
      const auto swapped = try_compare_and_swap(key, before, after);
      if (!swapped) return swapped.error();
      if (*swapped) return after;
    }
  }

  /// Whether there is such a key.
  Result<bool> try_contains(std::string_view key) const {
    detail::Report report;
    const auto status = filedb_exists(handle(), key.data(), key.size(), &report.said);
    return detail::answer(status, report, status == FILEDB_OK);
  }

  /// The keys that begin with `prefix`, in no particular order.
  Result<Keys> try_keys(std::string_view prefix = {}) const { return list(filedb_list, prefix); }

  /// The keys that begin with `prefix`, in the order of their bytes.
  Result<Keys> try_sorted_keys(std::string_view prefix = {}) const { return list(filedb_list_sorted, prefix); }

  /// The number of keys.
  Result<std::uint64_t> try_size() const {
    detail::Report report;
    std::uint64_t count = 0;
    const auto status = filedb_count(handle(), &count, &report.said);
    return detail::answer(status, report, count);
  }

  /// Makes every write that was complete before this call durable.
  Result<void> try_sync() {
    detail::Report report;
    return detail::answer(filedb_sync(handle(), &report.said), report);
  }

  /// Takes the space of dead values back, now.
  Result<void> try_merge() {
    detail::Report report;
    return detail::answer(filedb_merge(handle(), &report.said), report);
  }

  /// The number of the last change.
  Result<std::uint64_t> try_last_seq() const {
    detail::Report report;
    std::uint64_t seq = 0;
    const auto status = filedb_last_seq(handle(), &seq, &report.said);
    return detail::answer(status, report, seq);
  }

  /// Follows the changes behind a number: 0 for all, or that of the last change that was applied.
  Result<Changes> try_changes(std::uint64_t after_seq) {
    detail::Report report;
    filedb_changes_t *changes = nullptr;
    const auto status = filedb_changes_new(handle(), after_seq, &changes, &report.said);
    if (status < 0) return report.error(status);
    return Changes(changes);
  }

  /// Copies the store, which may be in use, to a directory; into an older backup of it only what is new. `flags` is 0 or
  /// FILEDB_BACKUP_COPY.
  Result<void> try_backup(const std::string& directory, std::uint32_t flags = 0) {
    detail::Report report;
    return detail::answer(filedb_backup(handle(), directory.c_str(), flags, &report.said), report);
  }

  /// How long the key has to live, no_expiry where it does not expire; nothing where there is no such key.
  Result<std::optional<milliseconds>> try_ttl(std::string_view key) const {
    detail::Report report;
    std::int64_t ms = 0;
    const auto status = filedb_ttl(handle(), key.data(), key.size(), &ms, &report.said);
    if (status != FILEDB_OK) return detail::answer(status, report, std::optional<milliseconds>());
    return std::optional<milliseconds>(ms < 0 ? no_expiry : milliseconds(ms));
  }

  /// Lets the key expire; with zero it is gone at once. False where there is no such key.
  template <class Rep, class Period>
  Result<bool> try_expire(std::string_view key, std::chrono::duration<Rep, Period> time) {
    detail::Report report;
    const auto status = filedb_expire(handle(), key.data(), key.size(), detail::count_ms(time), &report.said);
    return detail::answer(status, report, status == FILEDB_OK);
  }

  /// Lets the key live until it is erased. False where there is no such key.
  Result<bool> try_persist(std::string_view key) {
    detail::Report report;
    const auto status = filedb_persist(handle(), key.data(), key.size(), &report.said);
    return detail::answer(status, report, status == FILEDB_OK);
  }

  /// Writes all of a batch or nothing, also across a crash.
  Result<void> try_write(const Batch &batch) {
    if (batch.handle() == nullptr) return batch.missing();
    detail::Report report;
    return detail::answer(filedb_write(handle(), batch.handle(), &report.said), report);
  }

  /// Begins a walk through the keys that begin with `prefix`.
  Result<Iterator> try_scan(std::string_view prefix = {}) const {
    detail::Report report;
    filedb_iter_t *iter = nullptr;
    const auto status = filedb_iter_new(handle(), prefix.data(), prefix.size(), &iter, &report.said);
    return detail::answer(status, report, Iterator(iter));
  }

  /// Begins a walk through the keys of a range, in their order. FILEDB_ERR_UNSUPPORTED where the store keeps none.
  Result<Iterator> try_range(const Range &keys) const {
    detail::Report report;
    filedb_iter_t *iter = nullptr;
    const auto in_c = keys.in_c();
    const auto status = filedb_range_new(handle(), &in_c, &iter, &report.said);
    return detail::answer(status, report, Iterator(iter));
  }

  /// Deletes all keys of a range as one write. FILEDB_ERR_UNSUPPORTED where the store keeps no key order.
  Result<void> try_erase_range(const Range &keys) {
    detail::Report report;
    const auto in_c = keys.in_c();
    return detail::answer(filedb_delete_range(handle(), &in_c, &report.said), report);
  }

  /// The store in numbers.
  Result<filedb_stats_t> try_stats() const {
    detail::Report report;
    filedb_stats_t stats = FILEDB_STATS_INIT;
    const auto status = filedb_stats(handle(), &stats, &report.said);
    return detail::answer(status, report, stats);
  }

  /// Calls visit(key, value) for every row until it returns false; one that returns nothing sees all of them. What it throws
  /// comes out of here.
  template <class Visit>
  Result<void> try_fold(Visit &&visit) const {
    Fold<std::remove_reference_t<Visit>> fold{&visit};
    detail::Report report;
    const auto status = filedb_fold(handle(), fold.call, &fold, &report.said);
    fold.rethrow();
    return detail::answer(status, report);
  }

#if FILEDB_EXCEPTIONS
  /// @{
  /// Does what the verb with try_ in front of its name does, which says the rest; throws the error as an Exception.
  static Store open(std::string_view path, const Options &options = Options()) {
    return try_open(path, options).value();
  }
  template <class Path, std::enable_if_t<std::is_same_v<Path, std::filesystem::path>, int> = 0>
  static Store open(const Path &path, const Options &options = Options()) {
    return try_open(path, options).value();
  }
  void close() { try_close().value(); }
  void put(std::string_view key, std::string_view value) { try_put(key, value).value(); }
  bool put(std::string_view key, std::string_view value, const PutOptions &more) { return try_put(key, value, more).value(); }
  bool erase(std::string_view key) { return try_erase(key).value(); }
  std::optional<std::string> get(std::string_view key) const { return try_get(key).value(); }
  std::uint64_t capabilities() const { return try_capabilities().value(); }
  std::optional<filedb_type_t> type(std::string_view key) const { return try_type(key).value(); }
  std::uint64_t push_back(std::string_view key, std::string_view value) { return try_push_back(key, value).value(); }
  std::uint64_t push_front(std::string_view key, std::string_view value) { return try_push_front(key, value).value(); }
  std::optional<std::string> pop_back(std::string_view key) { return try_pop_back(key).value(); }
  std::optional<std::string> pop_front(std::string_view key) { return try_pop_front(key).value(); }
  std::optional<std::string> list_move(std::string_view from, std::string_view to, std::uint32_t flags = 0) {
    return try_list_move(from, to, flags).value();
  }
  std::optional<std::uint64_t> list_size(std::string_view key) const { return try_list_size(key).value(); }
  std::optional<std::string> list_get(std::string_view key, std::int64_t index) const {
    return try_list_get(key, index).value();
  }
  bool list_set(std::string_view key, std::int64_t index, std::string_view value) {
    return try_list_set(key, index, value).value();
  }
  Keys list_range(std::string_view key, std::int64_t first, std::int64_t last) const {
    return try_list_range(key, first, last).value();
  }
  std::optional<std::string> get_erase(std::string_view key) { return try_get_erase(key).value(); }
  bool compare_and_swap(std::string_view key, std::optional<std::string_view> expected,
                        std::optional<std::string_view> desired) {
    return try_compare_and_swap(key, expected, desired).value();
  }
  std::int64_t increment(std::string_view key, std::int64_t by = 1) { return try_increment(key, by).value(); }
  template <class Change>
  std::optional<std::string> update(std::string_view key, Change &&change) {
    return try_update(key, std::forward<Change>(change)).value();
  }
  std::optional<std::size_t> get_into(std::string_view key, void *buffer, std::size_t capacity) const {
    return try_get_into(key, buffer, capacity).value();
  }
  template <class T>
  std::optional<T> get_as(std::string_view key) const {
    return try_get_as<T>(key).value();
  }
  std::optional<Pinned> get_pinned(std::string_view key) const { return try_get_pinned(key).value(); }
  template <class Range>
  std::vector<std::optional<Pinned>> get_many(const Range &keys) const {
    return try_get_many(keys).value();
  }
  template <class Text>
  std::vector<std::optional<Pinned>> get_many(std::initializer_list<Text> keys) const {
    return try_get_many(keys).value();
  }
  bool contains(std::string_view key) const { return try_contains(key).value(); }
  Keys keys(std::string_view prefix = {}) const { return try_keys(prefix).value(); }
  Keys sorted_keys(std::string_view prefix = {}) const { return try_sorted_keys(prefix).value(); }
  std::uint64_t size() const { return try_size().value(); }
  void sync() { try_sync().value(); }
  void merge() { try_merge().value(); }
  std::uint64_t last_seq() const { return try_last_seq().value(); }
  Changes changes(std::uint64_t after_seq) { return try_changes(after_seq).value(); }
  void backup(const std::string& directory, std::uint32_t flags = 0) { try_backup(directory, flags).value(); }
  std::optional<milliseconds> ttl(std::string_view key) const { return try_ttl(key).value(); }
  template <class Rep, class Period>
  bool expire(std::string_view key, std::chrono::duration<Rep, Period> time) {
    return try_expire(key, time).value();
  }
  bool persist(std::string_view key) { return try_persist(key).value(); }
  void write(const Batch &batch) { try_write(batch).value(); }
  filedb_stats_t stats() const { return try_stats().value(); }
  Iterator scan(std::string_view prefix = {}) const { return try_scan(prefix).value(); }
  Iterator range(const Range &keys) const { return try_range(keys).value(); }
  void erase_range(const Range &keys) { try_erase_range(keys).value(); }
  template <class Visit>
  void fold(Visit &&visit) const {
    try_fold(std::forward<Visit>(visit)).value();
  }
  /// @}
#endif

  /// For calls of the C API; NULL after a close or a move, which every function answers with an error.
  filedb_t *handle() const noexcept { return handle_.get(); }

 private:
  Store(filedb_t *db, std::shared_ptr<Log> log) noexcept : log_(std::move(log)), handle_(db) {}

  Result<Keys> list(decltype(filedb_list) &function, std::string_view prefix) const {
    detail::Report report;
    filedb_slice_t *keys = nullptr;
    std::size_t count = 0;
    const auto status = function(handle(), prefix.data(), prefix.size(), &keys, &count, &report.said);
    return detail::answer(status, report, Keys(keys, count));
  }

  template <class Visit>
  struct Fold {
    Visit *visit;
#if FILEDB_EXCEPTIONS
    std::exception_ptr thrown = nullptr;
    void rethrow() const {
      if (thrown) std::rethrow_exception(thrown);
    }
#else
    void rethrow() const noexcept {}
#endif
    static int call(void *ctx, const void *key, std::size_t key_len, const void *value, std::size_t value_len) {
      auto *fold = static_cast<Fold *>(ctx);
#if FILEDB_EXCEPTIONS
      try {
        return fold->stops(detail::view(key, key_len), detail::view(value, value_len));
      } catch (...) {
        fold->thrown = std::current_exception();
        return 1;
      }
#else
      return fold->stops(detail::view(key, key_len), detail::view(value, value_len));
#endif
    }
    int stops(std::string_view key, std::string_view value) {
      if constexpr (std::is_void_v<std::invoke_result_t<Visit &, std::string_view, std::string_view>>) {
        (*visit)(key, value);
        return 0;
      } else {
        return (*visit)(key, value) ? 0 : 1;
      }
    }
  };

  /// A value that was handed out as memory to be freed.
  static Result<std::optional<std::string>> taken(filedb_status_t status, const detail::Report &report, void *value,
                                                  std::size_t size) {
    if (status != FILEDB_OK) return detail::answer(status, report, std::optional<std::string>());
    const detail::Owned<void, filedb_free> owned(value);
    return std::optional<std::string>(std::in_place, static_cast<const char *>(value), size);
  }

  std::shared_ptr<Log> log_;  // until the store is closed, so before the handle
  detail::Owned<filedb_t, detail::close_quietly> handle_;
};

// ---- Damage -----------------------------------------------------------------------------------------------------------

/// One damaged or suspicious place. Its texts live until the function that is shown it returns.
struct Finding {
  /// FILEDB_FINDING_...: how bad it is.
  std::int32_t severity;
  /// The name of the file, in the store's directory.
  std::string_view file;
  /// Where it begins in the file, in bytes.
  std::uint64_t offset;
  /// How many bytes it has.
  std::uint64_t length;
  /// A sentence that says what it is and what it means.
  std::string_view message;
  /// The key concerned, where it can be known.
  std::optional<std::string_view> key;
};

namespace detail {

/// A function that findings are shown to.
template <class Visit>
struct Showing {
  Visit *visit;
#if FILEDB_EXCEPTIONS
  std::exception_ptr thrown = nullptr;
  void rethrow() const {
    if (thrown) std::rethrow_exception(thrown);
  }
#else
  void rethrow() const noexcept {}
#endif
  static int call(void *ctx, const filedb_finding_t *found) {
    auto *showing = static_cast<Showing *>(ctx);
    const Finding finding{found->severity, found->file, found->offset, found->length, found->message,
                          found->key == nullptr ? std::nullopt : std::optional(view(found->key, found->key_len))};
#if FILEDB_EXCEPTIONS
    try {
      return showing->stops(finding);
    } catch (...) {
      showing->thrown = std::current_exception();
      return 1;
    }
#else
    return showing->stops(finding);
#endif
  }
  int stops(const Finding &finding) {
    if constexpr (std::is_void_v<std::invoke_result_t<Visit &, const Finding &>>) {
      (*visit)(finding);
      return 0;
    } else {
      return (*visit)(finding) ? 0 : 1;
    }
  }
};

}  // namespace detail

/// Looks for damage in the store in the directory `path`, which may be open, and shows each finding to visit(finding) until
/// that returns false. Nothing is changed. Damage is no error: the report says in damaged_places whether there is any.
template <class Visit>
Result<filedb_check_report_t> try_check(std::string_view path, Visit &&visit) {
  if (detail::has_nul(path)) return detail::nul_in("the path");
  detail::Showing<std::remove_reference_t<Visit>> showing{&visit};
  detail::Report report;
  filedb_check_report_t counts{};
  counts.struct_size = sizeof counts;
  const auto status = filedb_check(std::string(path).c_str(), showing.call, &showing, &counts, &report.said);
  showing.rethrow();
  if (status < 0 && status != FILEDB_ERR_CORRUPT) return report.error(status);
  return counts;
}

/// Copies what is intact in the store at `path` to a new store at `to`, which must not exist; findings are shown as by
/// try_check(), and where visit(finding) returns false the salvage ends with an error and there is no new store.
template <class Visit>
Result<filedb_check_report_t> try_salvage(std::string_view path, std::string_view to, Visit &&visit) {
  if (detail::has_nul(path) || detail::has_nul(to)) return detail::nul_in("the path");
  detail::Showing<std::remove_reference_t<Visit>> showing{&visit};
  detail::Report report;
  filedb_check_report_t counts{};
  counts.struct_size = sizeof counts;
  const auto status =
      filedb_salvage(std::string(path).c_str(), std::string(to).c_str(), showing.call, &showing, &counts, &report.said);
  showing.rethrow();
  return detail::answer(status, report, counts);
}

#if FILEDB_EXCEPTIONS
/// @{
/// Does what the function with try_ in front of its name does; throws the error as an Exception.
template <class Visit>
filedb_check_report_t check(std::string_view path, Visit &&visit) {
  return try_check(path, std::forward<Visit>(visit)).value();
}
template <class Visit>
filedb_check_report_t salvage(std::string_view path, std::string_view to, Visit &&visit) {
  return try_salvage(path, to, std::forward<Visit>(visit)).value();
}
/// @}
#endif

}  // namespace filedbxx

#endif
