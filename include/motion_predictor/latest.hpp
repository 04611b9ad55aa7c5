// Decides whether the predictions in the newest message are usable, or gives the reason why not.
#ifndef MOTION_PREDICTOR__LATEST_HPP_
#define MOTION_PREDICTOR__LATEST_HPP_

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "motion_predictor/msg/predicted_motion_array.hpp"

namespace motion_predictor
{

using Message = msg::PredictedMotionArray;

/// Says that predictions are usable, or why they are not usable.
enum class Reason
{
  usable,        // all people are predicted
  silent,        // no messages come from the predictor
  malformed,     // the arrays of the message have wrong sizes or values
  fault,         // the predictor reports a fault
  clock,         // the message is stamped in the future: clocks differ or time jumped
  stale,         // the newest observation is too old
  unreadable,    // a person or an object is in view that cannot be predicted
  warming_up,    // the history of a person is still too short
  too_many,      // more people are in view than are predicted
  too_short,     // the prediction ends before now + Limits::reach_s
  unfamiliar,    // a person moves unlike all people in the calibration data
  no_transform,  // there is no transform from the frame of the predictions
};

inline const char * to_string(Reason reason)
{
  static const char * const names[] = {
    "usable", "silent", "malformed", "fault", "clock", "stale", "unreadable", "warming up", "too many", "too short",
    "unfamiliar", "no transform"};
  return names[static_cast<int>(reason)];
}

/// Limits that decide whether a message is still usable. Times are in seconds.
struct Limits
{
  double silent_after_s = 0.2;  // longest time without any message (monotonic clock)
  double max_age_s = 0.25;      // greatest age of the newest observation, from its capture to now
  double max_ahead_s = 0.1;     // how far in the future a stamp may lie, if clocks differ a little
  double reach_s = 0.0;         // least time from now to the end of the prediction
  // Whether predictions are usable with unpredicted people. The distance to an unpredicted person is the distance to
  // the nearest place that the person can reach.
  bool reachable_ok = false;
  // Greatest speed of unpredicted people. If PredictedMotionArray.max_speed is smaller, max_speed is used.
  double unpredicted_m_per_s = std::numeric_limits<double>::infinity();
  // Whether predictions are usable with unfamiliar people. Distances to unfamiliar people come from their radii, not
  // from their samples.
  bool unfamiliar_ok = true;
};

/// The newest predictions if they are usable, otherwise the reason why not.
class Latest
{
public:
  explicit Latest(Reason reason)
  : reason_(reason) {}
  Latest(
    std::shared_ptr<const Message> message, double age_s,
    double unpredicted_m_per_s = std::numeric_limits<double>::infinity())
  : reason_(Reason::usable), message_(std::move(message)), age_s_(age_s), speed_(unpredicted_m_per_s) {}

  explicit operator bool() const {return reason_ == Reason::usable;}
  Reason reason() const {return reason_;}
  /// True if nobody is there; false if somebody is there, or if there is no usable message.
  bool is_nobody() const {return message_ && message_->motions.empty();}

  /// The message. Each person in the message is predicted. If Limits::reachable_ok is set, a person may also be
  /// unpredicted with a known place and reach. Throws std::logic_error if there is no usable message. People may be
  /// there although there is no usable message.
  const Message & message() const
  {
    if (!message_) {
      throw std::logic_error(std::string("there are no usable predictions: ") + to_string(reason_));
    }
    return *message_;
  }
  /// The message as a shared pointer, which keeps the message alive; null if there is no usable message.
  const std::shared_ptr<const Message> & shared() const {return message_;}
  /// Seconds since the newest observation. Frame f lies message().times[f] - age_s() seconds from now.
  double age_s() const {return age_s_;}
  /// Greatest speed of people who are not predicted, metres per second.
  double unpredicted_m_per_s() const {return std::min(speed_, static_cast<double>(message().max_speed));}
  /// Time from now to the last predicted frame, seconds.
  double horizon_s() const {return message().times.empty() ? 0.0 : message().times.back() - age_s_;}

private:
  Reason reason_;
  std::shared_ptr<const Message> message_;
  double age_s_ = 0, speed_ = std::numeric_limits<double>::infinity();
};

inline std::int64_t nanoseconds(const builtin_interfaces::msg::Time & stamp)
{
  return stamp.sec * std::int64_t{1000000000} + stamp.nanosec;
}

/// Whether the arrays of a message have the stated sizes, and positions are finite.
inline bool is_well_formed(const Message & m)
{
  const std::size_t S = m.num_samples, F = m.num_frames, J = m.num_joints;
  float before = 0;
  for (float time : m.times) {
    if (!std::isfinite(time) || time <= before) {return false;}
    before = time;
  }
  if (m.times.size() != F) {return false;}
  if (!m.motions.empty() && (F == 0 || m.joint_names.size() != J || m.parents.size() != J)) {return false;}
  const auto finite = [](const std::vector<float> & numbers) {
      double sum = 0;  // the sum is finite exactly if all numbers are finite
      for (float number : numbers) {sum += number;}
      return std::isfinite(sum);
    };
  for (const auto & person : m.motions) {
    if (person.mean.empty()) {
      if (!person.samples.empty() || !person.radius.empty()) {return false;}
      continue;
    }
    if (person.samples.size() != S * F * J * 3 || person.mean.size() != F * J * 3 || person.radius.size() != F * J) {
      return false;
    }
    if (!finite(person.samples) || !finite(person.mean)) {return false;}
  }
  return true;
}

/// Whether a person is predicted, not only listed.
inline bool is_predicted(const msg::PredictedMotion & person) {return !person.mean.empty();}

/// Whether each listed person is predicted, or has a known place and reach. The status of the message must not be worse
/// than the worst status of a person. A worse status means that the input or the node has a problem. If a person
/// has STALE_INPUT although the pose is as new as the message, the pose is not trusted: its axes may be mixed up, or
/// most joints may be hidden.
inline bool all_are_placed(const Message & m)
{
  std::uint8_t worst = Message::DEGRADED;
  for (const auto & person : m.motions) {
    worst = std::max(worst, person.status);
    if (is_predicted(person) != (person.status <= Message::DEGRADED)) {return false;}
    if (person.status > Message::STALE_INPUT) {return false;}
    if (is_predicted(person)) {continue;}
    if (person.status == Message::STALE_INPUT && person.last_seen == m.header.stamp) {return false;}
    const auto & at = person.place;
    if (!std::isfinite(at[0] + at[1] + at[2] + person.reach + m.max_speed)) {return false;}
  }
  return !m.unlisted && m.status <= worst;
}

/// The reason why a well-formed message of this age is usable or not. judge() does not check for silence.
inline Reason judge(const Message & m, double age_s, const Limits & limits)
{
  if (m.status == Message::FAULT) {return Reason::fault;}
  if (age_s < -limits.max_ahead_s) {return Reason::clock;}
  if (age_s > limits.max_age_s) {return Reason::stale;}
  const bool all_placed = limits.reachable_ok && all_are_placed(m);
  if (!all_placed && m.status == Message::WARMING_UP) {return Reason::warming_up;}
  if (!all_placed && m.status == Message::TOO_MANY) {return Reason::too_many;}
  if (!all_placed && (m.status > Message::DEGRADED || m.unlisted)) {return Reason::unreadable;}
  bool any_predicted = false;
  for (const auto & person : m.motions) {
    if (!all_placed && (person.status > Message::DEGRADED || !is_predicted(person))) {return Reason::unreadable;}
    if (person.unfamiliar && !limits.unfamiliar_ok) {return Reason::unfamiliar;}
    any_predicted = any_predicted || is_predicted(person);
  }
  if (any_predicted && m.times.back() - std::max(age_s, 0.0) < limits.reach_s) {return Reason::too_short;}
  return Reason::usable;
}

/// Subscribes to predicted_motion and says whether the newest message is usable.
class Predictions
{
public:
  using Steady = std::chrono::steady_clock;

  /// This constructor makes no subscription: pass each message to put().
  explicit Predictions(Limits limits = {})
  : limits_(limits), inbox_(std::make_shared<Inbox>()) {}

  /// Subscribes with an rclcpp::Node, or anything else that has create_subscription<Message>(topic, depth, callback).
  /// The subscription is reliable: otherwise a message of many fragments would rarely arrive complete.
  template<class Node>
  explicit Predictions(Node & node, Limits limits = {}, const char * topic = "predicted_motion")
  : Predictions(limits)
  {
    subscription_ = node.template create_subscription<Message>(
      topic, 1, [inbox = inbox_](std::shared_ptr<const Message> message) {inbox->put(std::move(message));});
  }

  /// Adds a message that has just arrived.
  void put(std::shared_ptr<const Message> message) {inbox_->put(std::move(message));}

  /// The newest predictions if they are usable, otherwise the reason why not.
  /// @param now_ns present time of the clock that stamps the messages (ROS time): node.now().nanoseconds()
  /// @param steady present time of the monotonic clock
  Latest latest(std::int64_t now_ns, Steady::time_point steady = Steady::now()) const
  {
    const std::lock_guard<std::mutex> lock(inbox_->mutex);
    const auto & newest = inbox_->newest;
    if (!newest || std::chrono::duration<double>(steady - inbox_->arrived).count() > limits_.silent_after_s) {
      return Latest(Reason::silent);
    }
    if (!inbox_->well_formed) {return Latest(Reason::malformed);}
    const double age_s = (now_ns - nanoseconds(newest->header.stamp)) * 1e-9;
    const Reason reason = judge(*newest, age_s, limits_);
    if (reason != Reason::usable) {return Latest(reason);}
    return Latest(newest, std::max(age_s, 0.0), limits_.unpredicted_m_per_s);
  }

private:
  struct Inbox
  {
    std::mutex mutex;
    std::shared_ptr<const Message> newest;
    bool well_formed = false;
    Steady::time_point arrived;

    void put(std::shared_ptr<const Message> message)
    {
      const bool sound = is_well_formed(*message);
      const std::lock_guard<std::mutex> lock(mutex);
      newest = std::move(message), well_formed = sound, arrived = Steady::now();
    }
  };

  Limits limits_;
  std::shared_ptr<Inbox> inbox_;
  std::shared_ptr<void> subscription_;
};

}  // namespace motion_predictor

#endif  // MOTION_PREDICTOR__LATEST_HPP_
